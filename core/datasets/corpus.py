"""The notes of a whole dataset in one stored array file: what trainings read."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import StorageError
from core.music.notes import Notes

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """All pieces of a dataset, their notes laid end to end, in the dataset's order of pieces.

    Attributes:
        notes: the columns of all pieces; times count from the start of each piece.
        offsets: int64 `[pieces + 1]`, piece i owns rows `offsets[i]` to `offsets[i + 1]`.
        splits: uint8 `[pieces]`, index into `SPLITS`.
    """

    notes: Notes
    offsets: NDArray[np.int64]
    splits: NDArray[np.uint8]

    @classmethod
    def of(cls, pieces: Sequence[Notes], splits: Sequence[Split]) -> Corpus:
        """Lay pieces end to end."""
        if len(pieces) != len(splits):
            raise ValueError(f"{len(pieces)} pieces but {len(splits)} splits")
        everything = pieces or [Notes.empty()]
        notes = Notes(
            np.concatenate([piece.onset_seconds for piece in everything]),
            np.concatenate([piece.duration_seconds for piece in everything]),
            np.concatenate([piece.pitch for piece in everything]),
            np.concatenate([piece.velocity for piece in everything]),
        )
        offsets = np.cumsum([0, *(len(piece) for piece in pieces)], dtype=np.int64)
        return cls(notes, offsets, np.array([SPLITS.index(split) for split in splits], np.uint8))

    def __len__(self) -> int:
        return int(self.splits.size)

    def piece(self, index: int) -> Notes:
        """The notes of piece `index` (views, no copies)."""
        return self.notes[slice(int(self.offsets[index]), int(self.offsets[index + 1]))]

    def pieces(self, split: Split) -> Iterator[Notes]:
        """The pieces of one split, in order."""
        for index in np.flatnonzero(self.splits == SPLITS.index(split)):
            yield self.piece(int(index))

    def training_pieces(self, files: int = 0) -> dict[int, Notes]:
        """Number to notes of the pieces that a training with the setting `files` reads, which a search is held against.

        The first so many of the training pieces that have notes; 0 means all of them.
        """
        train = (int(number) for number in np.flatnonzero(self.splits == SPLITS.index("train")))
        filled = [number for number in train if self.offsets[number] < self.offsets[number + 1]]
        return {number: self.piece(number) for number in filled[: files or None]}

    def to_bytes(self) -> bytes:
        """The stored form: an uncompressed npz; equal corpora give equal bytes."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            onset_seconds=self.notes.onset_seconds,
            duration_seconds=self.notes.duration_seconds,
            pitch=self.notes.pitch,
            velocity=self.notes.velocity,
            offsets=self.offsets,
            splits=self.splits,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Corpus:
        """Read back what `to_bytes` wrote.

        Raises:
            StorageError: the data is damaged.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                notes = Notes(arrays["onset_seconds"], arrays["duration_seconds"], arrays["pitch"], arrays["velocity"])
                return cls(notes, arrays["offsets"], arrays["splits"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise StorageError(f"The stored notes of this dataset are damaged ({error}); import it again.") from error
