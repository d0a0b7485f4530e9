"""The one representation of music that everything in Cadenza passes around: columns of notes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PITCH_COUNT = 128


@dataclass(frozen=True, slots=True, eq=False)
class Notes:
    """The notes of one piece as parallel columns, sorted by onset and then pitch.

    Attributes:
        onset_seconds: float64 `[n]`, seconds from the start of the piece, at least 0, ascending.
        duration_seconds: float64 `[n]`, seconds, at least 0.
        pitch: uint8 `[n]`, MIDI note number, 0 to 127 (60 is middle C, `C4`).
        velocity: uint8 `[n]`, 1 to 127.
    """

    onset_seconds: NDArray[np.float64]
    duration_seconds: NDArray[np.float64]
    pitch: NDArray[np.uint8]
    velocity: NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        onset_seconds: object,
        duration_seconds: object,
        pitch: object,
        velocity: object,
    ) -> Notes:
        """Build from anything array-like: converts the types, checks the ranges and sorts.

        Raises:
            ValueError: columns of different lengths, or a value outside its range.
        """
        onset = np.asarray(onset_seconds, np.float64)
        duration = np.asarray(duration_seconds, np.float64)
        pitches = np.asarray(pitch, np.int64)
        velocities = np.asarray(velocity, np.int64)
        lengths = {onset.shape, duration.shape, pitches.shape, velocities.shape}
        if len(lengths) != 1 or onset.ndim != 1:
            raise ValueError(f"columns must be one-dimensional and equally long, not of shapes {sorted(lengths)}")
        for name, column, low, high in (
            ("onset_seconds", onset, 0.0, np.inf),
            ("duration_seconds", duration, 0.0, np.inf),
            ("pitch", pitches, 0, 127),
            ("velocity", velocities, 1, 127),
        ):
            if column.size and not (column.min() >= low and column.max() <= high):
                raise ValueError(f"{name} spans {column.min()} to {column.max()}, allowed is {low} to {high}")
        order = np.lexsort((pitches, onset))
        return cls(onset[order], duration[order], pitches[order].astype(np.uint8), velocities[order].astype(np.uint8))

    @classmethod
    def empty(cls) -> Notes:
        """No notes."""
        return cls.of([], [], [], [])

    def __len__(self) -> int:
        return int(self.pitch.size)

    def __getitem__(self, rows: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Notes:
        """The chosen rows, in their present order and at their present times."""
        return Notes(self.onset_seconds[rows], self.duration_seconds[rows], self.pitch[rows], self.velocity[rows])

    def __iter__(self) -> Iterator[tuple[float, float, int, int]]:
        """Rows as (onset_seconds, duration_seconds, pitch, velocity); for display, not for work in bulk."""
        return zip(
            self.onset_seconds.tolist(),
            self.duration_seconds.tolist(),
            self.pitch.tolist(),
            self.velocity.tolist(),
            strict=True,
        )

    @property
    def end_seconds(self) -> float:
        """When the last note ends, in seconds; 0 without notes."""
        return float((self.onset_seconds + self.duration_seconds).max()) if len(self) else 0.0

    @property
    def step_seconds(self) -> NDArray[np.float64]:
        """float64 `[n]`: seconds since the onset before; the first note's step is its onset (as in the article)."""
        return np.diff(self.onset_seconds, prepend=0.0)
