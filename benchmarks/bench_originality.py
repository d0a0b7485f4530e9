"""The longest passage that a take shares with MAESTRO's training pieces: how long the search and its index take."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from benchmarks import stages
from benchmarks.carried import read_corpus
from benchmarks.harness import Options, Row, Sample, interleave, run_program, say, use_one_core
from core.datasets.corpus import Corpus
from core.evaluation.excerpts import excerpt
from core.evaluation.originality import longest_shared
from core.evaluation.passages import Line, PassageIndex
from core.music.notes import Notes

_MOST_MILLISECONDS = 50.0
# Takes of so many notes, and how many of them: real held-out music, which shares more than what models compose.
_TAKES = {200: 100, 1_000: 60, 20_000: 20}
_STAGES = {200: stages.ORIGINALITY_200, 1_000: stages.ORIGINALITY_1000, 20_000: stages.ORIGINALITY_20000}
_SCANNED = 200
_SCAN = "a plain scan for the longest run of equal intervals"


def main() -> None:
    """Run it."""
    run_program(measure, repeats=3)


def measure(options: Options) -> list[Row]:
    """Milliseconds a take for three lengths, then the index's time and memory; nothing without MAESTRO."""
    if not options.music.is_maestro:
        say("the MAESTRO zip is not here: copies are searched for in its training pieces only, so nothing is measured")
        return []
    use_one_core()
    corpus = _corpus(options)
    train, held_out = list(corpus.pieces("train")), list(corpus.pieces("validation"))
    before, started = psutil.Process().memory_info().rss, time.perf_counter()
    index = PassageIndex.build(train, range(len(train)))
    seeds = len(index.keys)  # computed at the first search otherwise
    build_seconds, peak = time.perf_counter() - started, _peak_bytes() - before
    music = f"{len(train)} training pieces, {len(index.line):,} notes, one core"
    rows = [_search_row(index, held_out, notes, options.repeats, music) for notes in _TAKES]
    held = sum(array.nbytes for array in (index.line.pitch, index.line.tick, index.order, index.keys, index.offsets))
    stored = len(index.to_bytes())
    rows.append(
        Row(
            stages.ORIGINALITY_BUILD, "s", build_seconds, lower_is_better=True,
            notes=[f"{music}, {seeds:,} places; once for each dataset, then {stored / 2**20:.0f} MB are stored"],
        )
    )  # fmt: skip
    rows.append(
        Row(
            stages.ORIGINALITY_MEMORY, "MB", held / 2**20, lower_is_better=True,
            notes=[f"its arrays; while it is built the process grows by {max(peak, 0) / 2**20:.0f} MB"],
        )
    )  # fmt: skip
    return rows


def _search_row(index: PassageIndex, held_out: list[Notes], notes: int, repeats: int, music: str) -> Row:
    takes, seconds, scan_seconds = _takes(held_out, notes, _TAKES[notes]), list[float](), list[float]()

    def ours() -> Sample:
        spent = []
        for take in takes:
            began = time.perf_counter()
            longest_shared(take, index)
            spent.append(time.perf_counter() - began)
        seconds.extend(spent)
        return Sample(len(takes), sum(spent))

    def scan() -> Sample:
        began = time.perf_counter()
        _longest_run(takes[len(scan_seconds) % len(takes)], index)
        scan_seconds.append(time.perf_counter() - began)
        return Sample(1, scan_seconds[-1])

    interleave({"ours": ours, "scan": scan} if notes == _SCANNED else {"ours": ours}, repeats)
    # The first run of each does not count.
    counted = 1000 * np.array(seconds[len(takes) :])
    p95 = float(np.percentile(counted, 95))
    row = Row(_STAGES[notes], "ms", p95, lower_is_better=True, goal=f"p95 ≤ {_MOST_MILLISECONDS:g} ms")
    row.met = p95 <= _MOST_MILLISECONDS
    times = f"median {np.median(counted):.1f} ms, longest {counted.max():.1f} ms"
    row.notes = [f"p95 of {len(counted)} searches with {len(takes)} excerpts of validation pieces; {times}; {music}"]
    if scan_seconds:
        row.peer, row.peer_value = _SCAN, 1000 * float(np.percentile(scan_seconds[1:], 95))
        row.notes.append("the scan looks at every training note for every note of the take, in numpy, and at no rhythm")
    return row


def _takes(pieces: list[Notes], notes: int, count: int) -> list[Notes]:
    """`count` takes of as many notes, from all pieces one after the other; longer ones run over several pieces."""
    whole = _joined(pieces)
    firsts = np.linspace(0, len(whole) - notes, count).astype(int)
    return [excerpt(whole, int(first), notes) for first in firsts]


def _joined(pieces: list[Notes]) -> Notes:
    begins = np.cumsum([0.0, *(piece.end_seconds + 1 for piece in pieces[:-1])])
    onsets = [piece.onset_seconds + begin for piece, begin in zip(pieces, begins, strict=True)]
    rest = ([getattr(piece, name) for piece in pieces] for name in ("duration_seconds", "pitch", "velocity"))
    return Notes(np.concatenate(onsets), *(np.concatenate(columns) for columns in rest))


def _longest_run(take: Notes, index: PassageIndex) -> int:
    """The longest run of intervals that the take shares with anything, every place held against every other."""
    training = np.diff(index.line.pitch).astype(np.int8)
    runs, longest = np.zeros(len(training) + 1, np.uint16), 0
    for interval in np.diff(Line.of(take).pitch).astype(np.int8):
        runs[1:] = np.where(training == interval, runs[:-1] + 1, 0)
        longest = max(longest, int(runs.max()))
    return longest


def _corpus(options: Options) -> Corpus:
    with tempfile.TemporaryDirectory(prefix="cadenza-bench-") as folder:
        path = Path(folder) / "maestro.zip"
        path.write_bytes(options.music.zip_bytes)
        return read_corpus(path)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
