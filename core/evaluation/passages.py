"""All training pieces in a form in which a passage can be looked up, whatever its key and tempo."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.errors import StorageError
from core.music.grid import place_on_grid
from core.music.notes import Notes

TICKS_PER_SECOND = 100
SEED_INTERVALS = 8
"""So many intervals in a row, alike in take and piece, are where a comparison starts."""
_CHORD_TICKS = 3
_FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Notes in the order in which they are compared: chord by chord, each from its lowest note upwards.

    A note at most 30 ms after the one before belongs to its chord, so that rounding to 10 ms, or playing a little
    faster, hardly changes the order.

    Attributes:
        pitch: int16 `[n]`.
        tick: int32 `[n]`, 10 ms each; that of the chord's first note.
    """

    pitch: NDArray[np.int16]
    tick: NDArray[np.int32]

    @classmethod
    def of(cls, notes: Notes) -> Line:
        """The line of a piece on the grid of the performance encoding."""
        grid = place_on_grid(notes, TICKS_PER_SECOND)
        order = np.lexsort((grid.pitch, grid.onset))
        onset, pitch = grid.onset[order], grid.pitch[order]
        opens = np.concatenate(([True], np.diff(onset) > _CHORD_TICKS))[: len(onset)]
        chord = np.cumsum(opens) - 1
        tick = onset[opens][chord] if len(onset) else onset
        again = np.lexsort((pitch, chord))
        return cls(pitch[again].astype(np.int16), tick[again].astype(np.int32))

    def __len__(self) -> int:
        return len(self.pitch)

    def seeds(self) -> NDArray[np.uint64]:
        """Each `SEED_INTERVALS` successive intervals as one number, uint64 `[max(0, n - SEED_INTERVALS)]`."""
        return seeds_of(np.diff(self.pitch).astype(np.int8))


def seeds_of(intervals: NDArray[np.int8]) -> NDArray[np.uint64]:
    """Every `SEED_INTERVALS` successive ones of the intervals as one number: equal just where they are equal."""
    if len(intervals) < SEED_INTERVALS:
        return np.zeros(0, np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(intervals.view(np.uint8), SEED_INTERVALS)
    return np.ascontiguousarray(windows).view("<u8").ravel()


@dataclass(frozen=True, eq=False)
class PassageIndex:
    """The lines of many pieces end to end, and where each seed occurs.

    Attributes:
        line: of all pieces.
        offsets: int64 `[pieces + 1]`; piece i owns rows `offsets[i]` to `offsets[i + 1]` of the line.
        pieces: int64 `[pieces]`; each piece's index in its dataset.
        order: uint32 `[seeds]`; rows at which a seed starts that crosses into no other piece, by the seed's number.
    """

    line: Line
    offsets: NDArray[np.int64]
    pieces: NDArray[np.int64]
    order: NDArray[np.uint32]

    @classmethod
    def build(cls, notes: Sequence[Notes], pieces: Sequence[int]) -> PassageIndex:
        """Index pieces; `pieces` are their numbers in the dataset."""
        lines = [Line.of(piece) for piece in notes]
        offsets = np.cumsum([0, *(len(line) for line in lines)], dtype=np.int64)
        whole = Line(
            np.concatenate([line.pitch for line in lines] or [np.zeros(0, np.int16)]),
            np.concatenate([line.tick for line in lines] or [np.zeros(0, np.int32)]),
        )
        starts = np.arange(max(0, len(whole) - SEED_INTERVALS), dtype=np.uint32)
        piece_end = offsets[1:][np.searchsorted(offsets[1:], starts, side="right")] if len(starts) else starts
        starts = starts[starts + SEED_INTERVALS < piece_end]
        order = starts[np.argsort(whole.seeds()[starts], kind="stable")]
        return cls(whole, offsets, np.asarray(pieces, np.int64), order)

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """The seeds, ascending, one for each of `order`."""
        return self.line.seeds()[self.order]

    def __len__(self) -> int:
        return len(self.pieces)

    def to_bytes(self) -> bytes:
        """The stored form; equal pieces give equal bytes."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            format=np.int64(_FORMAT),
            pitch=self.line.pitch.astype(np.uint8),
            tick=self.line.tick,
            offsets=self.offsets,
            pieces=self.pieces,
            order=self.order,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> PassageIndex:
        """Read back what `to_bytes` wrote.

        Raises:
            StorageError: damaged, or of another version; build it anew.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                found = int(arrays["format"])
                line = Line(arrays["pitch"].astype(np.int16), arrays["tick"])
                index = cls(line, arrays["offsets"], arrays["pieces"], arrays["order"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StorageError(f"The stored index of passages is damaged ({error}).") from error
        if found != _FORMAT:
            raise StorageError(f"The stored index of passages has format {found}; this version reads {_FORMAT}.")
        return index
