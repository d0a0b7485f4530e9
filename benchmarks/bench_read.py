"""Reading MIDI into note columns on one core: ours, the article's function, mido and miditok."""

from __future__ import annotations

import io
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import symusic

from benchmarks import stages
from benchmarks.harness import (
    Options,
    Row,
    Sample,
    Side,
    Timing,
    interleave,
    missing_peer,
    run_program,
    timing_notes,
    use_one_core,
)
from core.music.reading import read_midi

_FILES = 100
# The slow peers read every so manyth of the same files.
_SAMPLE = 10
_GOAL = 250
_UNIT = "notes/s"
_PEERS = {
    "pretty_midi": "article's function on pretty_midi",
    "mido": "mido, note by note",
    "miditok": "miditok, REMI tokens",
}


def main() -> None:
    """Run it."""
    run_program(measure, repeats=5)


def measure(options: Options) -> list[Row]:
    """One row for each peer."""
    use_one_core()
    files = options.music.files(_FILES)
    notes = [len(read_midi(data, fold_pedal=False).notes) for data in files]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number:03d}.mid" for number in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        sampled = slice(0, None, _SAMPLE)
        few, few_notes = paths[sampled], sum(notes[sampled])

        def ours() -> float:
            return float(sum(len(read_midi(path.read_bytes(), fold_pedal=False).notes) for path in paths))

        def article() -> float:
            for path in few:
                _article_notes(path)
            return float(few_notes)

        def mido_loop() -> float:
            for path in few:
                _mido_notes(path)
            return float(few_notes)

        sides: dict[str, Side] = {"ours": ours, "pretty_midi": article, "mido": mido_loop}
        sides["parser"] = lambda: _parse_alone(paths)
        if find_spec("miditok") is not None:
            sides["miditok"] = _miditok_side(few, few_notes)
        timings = interleave(sides, options.repeats)
    rows = [_row(name, title, timings) for name, title in _PEERS.items()]
    for row in rows:
        row.notes.append(f"{options.music.name}: {len(paths)} files, {sum(notes):,} notes")
        row.notes.append(f"the peers read every {_SAMPLE}th of them, {few_notes:,} notes")
    return rows


def _row(name: str, title: str, timings: dict[str, Timing]) -> Row:
    if name not in timings:
        return missing_peer(stages.READ, _UNIT, timings["ours"], title)
    row = Row(stages.READ, _UNIT, timings["ours"].rate, title, timings[name].rate)
    row.notes = timing_notes({"ours": timings["ours"], name: timings[name]})
    row.limit, row.limit_name = timings["parser"].rate, "symusic's parser alone, which checks every byte"
    if name == "pretty_midi":
        row.goal, row.met = f"≥ {_GOAL} ×", (row.ratio or 0) >= _GOAL
    return row


def _parse_alone(paths: list[Path]) -> float:
    """What ours does first, and nothing else; how many notes there were."""
    return float(
        sum(
            len(track.notes.numpy()["pitch"])
            for path in paths
            for track in symusic.Score.from_midi(path.read_bytes()).tracks
        )
    )


def _article_notes(path: Path) -> dict[str, np.ndarray]:
    """The article's way: the first instrument's notes by onset, one after the other into lists."""
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(str(path))
    columns: dict[str, list[float]] = {name: [] for name in ("pitch", "start", "end", "step", "duration")}
    ordered = sorted(midi.instruments[0].notes, key=lambda note: note.start)
    before = ordered[0].start
    for note in ordered:
        columns["pitch"].append(note.pitch)
        columns["start"].append(note.start)
        columns["end"].append(note.end)
        columns["step"].append(note.start - before)
        columns["duration"].append(note.end - note.start)
        before = note.start
    return {name: np.array(column) for name, column in columns.items()}


def _mido_notes(path: Path) -> np.ndarray:
    """Every message in turn, its time in seconds by mido's own tempo map."""
    import mido

    sounding: dict[tuple[int, int], list[tuple[float, int]]] = {}
    rows = []
    now = 0.0
    for message in mido.MidiFile(file=io.BytesIO(path.read_bytes())):
        now += message.time
        if message.type not in {"note_on", "note_off"}:
            continue
        key = (message.channel, message.note)
        if message.type == "note_on" and message.velocity:
            sounding.setdefault(key, []).append((now, message.velocity))
        else:
            for start, velocity in sounding.pop(key, []):
                rows.append((start, now - start, message.note, velocity))
    return np.array(sorted(rows))


def _miditok_side(paths: list[Path], notes: int) -> Side:
    from miditok import REMI

    tokenizer = REMI()

    def side() -> Sample:
        started = time.perf_counter()
        for path in paths:
            tokenizer(path)
        return Sample(float(notes), time.perf_counter() - started)

    return side


if __name__ == "__main__":
    main()
