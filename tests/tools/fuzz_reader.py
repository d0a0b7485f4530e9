"""Feed damaged MIDI files and zips to the reader of imports, in bounded memory and time.

    python -m tests.tools.fuzz_reader [--files 100000] [--seed 0] [--cases FOLDER]

Each file takes the whole way of an import: zips are opened, each entry is read by a reader process. A file must be read
or refused with a sentence; a crash, a file that needs more than its time or its memory, or notes that make no sense, is
a find, and hypothesis makes it as small as it can.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import psutil
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from core.datasets.reader import ReadingLimits, ReadPiece
from core.datasets.reading_pool import ReadingPool
from core.datasets.sources import SourceBuilder, StoredFile
from core.errors import ArchiveError
from core.music.reading import LONGEST_SECONDS
from tests.tools.damaged_files import FuzzFile, damaged_files, whole_files

LIMITS = ReadingLimits(cpu_seconds=2.0, wall_seconds=20.0, memory_bytes=300 * 10**6)
# Of this process, which holds the zips; the reader's own limit is set in the reader.
_LARGEST_GROWTH_BYTES = 200 * 10**6
_ROUND = 1000
_NO_REASONS = ("crash", "takes more than", "of memory", "Error:", "Exception:")


@dataclass(slots=True)
class Tally:
    """What became of the files."""

    files: int = 0
    zips: int = 0
    entries: int = 0
    read: int = 0
    refused: int = 0
    slowest_seconds: float = 0.0
    reader_bytes: int = 0
    growth_bytes: int = 0
    readers: set[int] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        files = f"{self.files:,} files ({self.zips:,} zips) with {self.entries:,} pieces"
        readers = f"{len(self.readers)} reader processes, the largest {self.reader_bytes / 1e6:.0f} MB"
        lines = [
            f"{files}: {self.read:,} read, {self.refused:,} refused with a reason",
            f"slowest {self.slowest_seconds:.2f} s; {readers}; this process grew by {self.growth_bytes / 1e6:.0f} MB",
        ]
        return "\n".join(lines + [f"{count:>8,} × {reason}" for reason, count in self.reasons.most_common(12)])


def fuzz(files: int, first_seed: int, cases: Path | None = None) -> Tally:
    """Read so many damaged files.

    Args:
        files: how many.
        first_seed: the same one makes the same files.
        cases: a folder of files to damage, beside made ones.

    Raises:
        AssertionError: a find, as small as it could be made.
    """
    tally = Tally()
    damaged = damaged_files(whole_files(cases))
    me, base = psutil.Process(), 0
    with ReadingPool(1, LIMITS) as pool:
        # In rounds, since hypothesis remembers every file of one.
        for number, first in enumerate(range(0, files, _ROUND)):
            _round(damaged, min(_ROUND, files - first), first_seed + number, lambda file: _feed(file, pool, tally))
            base = base or me.memory_info().rss
            tally.growth_bytes = max(tally.growth_bytes, me.memory_info().rss - base)
            assert tally.growth_bytes < _LARGEST_GROWTH_BYTES, f"{tally.growth_bytes:,} bytes more than at the start"
    return tally


def _round(damaged: SearchStrategy[FuzzFile], files: int, number: int, feed: Callable[[FuzzFile], None]) -> None:
    @seed(number)
    @settings(
        max_examples=files,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged)
    def run(file: FuzzFile) -> None:
        feed(file)

    run()


def _feed(file: FuzzFile, pool: ReadingPool, tally: Tally) -> None:
    began = time.monotonic()
    with SourceBuilder() as builder:
        try:
            builder.add(StoredFile(file.name, lambda: BytesIO(file.data)))
            for _file, piece in pool.read(builder.finish().files()):
                _check(piece, tally)
        except ArchiveError as error:
            _check(str(error), tally)
    seconds = time.monotonic() - began
    tally.files += 1
    tally.zips += file.is_zip
    tally.slowest_seconds = max(tally.slowest_seconds, seconds)
    assert seconds < LIMITS.wall_seconds, f"{seconds:.1f} s"
    _look_at_the_reader(pool, tally)


def _check(piece: ReadPiece | str, tally: Tally) -> None:
    tally.entries += 1
    if isinstance(piece, str):
        tally.refused += 1
        tally.reasons[piece.partition(":")[0].partition(";")[0][:60]] += 1
        assert len(piece) > 10, piece
        assert piece.isprintable(), piece
        assert not any(words in piece for words in _NO_REASONS), piece
        return
    tally.read += 1
    onset, duration = np.frombuffer(piece.columns[0]), np.frombuffer(piece.columns[1])
    pitch, velocity = np.frombuffer(piece.columns[2], np.uint8), np.frombuffer(piece.columns[3], np.uint8)
    assert piece.notes == len(onset) == len(duration) == len(pitch) == len(velocity) > 0
    assert np.isfinite(onset).all()
    assert (onset[0] >= 0) & (np.diff(onset) >= 0).all()
    assert np.isfinite(duration).all()
    assert (duration >= 0).all()
    assert pitch.max() < 128
    assert velocity.max() < 128
    assert math.isfinite(piece.seconds)
    assert piece.seconds <= LONGEST_SECONDS


def _look_at_the_reader(pool: ReadingPool, tally: Tally) -> None:
    process = pool.readers[0].process
    if process is not None:
        tally.readers.add(process.pid)
        if tally.files % 50 == 0:
            tally.reader_bytes = max(tally.reader_bytes, psutil.Process(process.pid).memory_info().rss)


def main() -> int:
    """Feed the reader and say what became of the files."""
    parser = argparse.ArgumentParser(description="Feed damaged MIDI files and zips to the reader of imports.")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=Path, default=None, help="a folder of files to damage, beside made ones")
    options = parser.parse_args()
    began = time.monotonic()
    print(fuzz(options.files, options.seed, options.cases))
    print(f"in {time.monotonic() - began:.0f} s, no find")
    return 0


if __name__ == "__main__":
    sys.exit(main())
