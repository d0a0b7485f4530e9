"""What a piece's pitches say of its harmony, by MusPy's definitions.

H.-W. Dong, K. Chen, J. McAuley, T. Berg-Kirkpatrick, "MusPy: A Toolkit for Symbolic Music Generation", ISMIR 2020.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CLASSES = 12
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 10)
# `[24, 12]`: 1 where a scale has a pitch class.
_SCALES = np.array(
    [
        [(c - root) % _CLASSES in scale for c in range(_CLASSES)]
        for scale in (_MAJOR, _MINOR)
        for root in range(_CLASSES)
    ],
    float,
)


def pitch_class_counts(pitch_counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Notes of each pitch class, float64 `[12]`, from the notes of each pitch, `[128]`."""
    classes = np.arange(len(pitch_counts)) % _CLASSES
    return np.bincount(classes, weights=pitch_counts, minlength=_CLASSES).astype(np.float64)


def entropy_bits(counts: NDArray[np.generic]) -> float:
    """Shannon entropy of what was counted, bits; at least one count is not 0."""
    shares = counts[counts != 0] / counts.sum()
    return max(float(-(shares * np.log2(shares)).sum()), 0.0)


def scale_consistency(class_counts: NDArray[np.float64]) -> float:
    """The largest share of notes in any of the 24 major and natural minor scales, 0 to 1."""
    return min(float((_SCALES @ class_counts).max() / class_counts.sum()), 1.0)
