"""The tutorial encoding: each note as pitch, step and duration, the numbers of the article."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.music.notes import Notes


def to_triples(notes: Notes) -> NDArray[np.float32]:
    """float32 `[n, 3]`: pitch 0 to 127, seconds since the onset before (the first note's own onset), duration in s."""
    return np.stack(
        (
            notes.pitch.astype(np.float32),
            notes.step_seconds.astype(np.float32),
            notes.duration_seconds.astype(np.float32),
        ),
        axis=1,
    )


def from_triples(triples: ArrayLike, velocity: int = 100) -> Notes:
    """Notes of triples `[n, 3]`, such as a model gives: pitches rounded into 0 to 127, times below 0 taken as 0.

    Raises:
        ValueError: another shape, a value that is not finite, or a velocity outside 1 to 127.
    """
    values = np.asarray(triples, np.float64)
    if values.ndim != 2 or values.shape[1] != 3:
        raise ValueError(f"triples have shape {values.shape}, allowed is (n, 3)")
    if not np.isfinite(values).all():
        raise ValueError("triples hold values that are not finite")
    pitch = np.clip(np.rint(values[:, 0]), 0, 127)
    onset = np.cumsum(np.maximum(values[:, 1], 0.0))
    return Notes.of(onset, np.maximum(values[:, 2], 0.0), pitch, np.full(len(values), velocity))
