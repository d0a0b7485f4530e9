"""How alike two sets of pieces are in one measure: distances within and between them, as densities that overlap.

L.-C. Yang and A. Lerch, "On the evaluation of generative models in music", Neural Computing and Applications 32, 2020:
the distances between all pairs within the reference set, the distances between all pairs across the two sets, a kernel
density of each, and of the two densities the area that they share (1: alike) and the Kullback-Leibler divergence (0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_PIECES = 4
_POINTS = 1024
# No kernel is narrower than this share of the range, so that the points see it.
_NARROWEST = 1 / 200
# A density below this counts as this: sets that share nothing diverge by some 25 nats, not endlessly.
_LEAST_SHARE = 1e-12
_CUT = 4.0
_MOST_DISTANCES = 4_000


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two sets have in common.

    Attributes:
        area: overlapping area of the two densities, 0 to 1.
        divergence: Kullback-Leibler divergence of the distances between the sets from those within the reference, nats.
    """

    area: float
    divergence: float


def overlap(reference: NDArray[np.float64], other: NDArray[np.float64]) -> Overlap | None:
    """Compare `other` with `reference` in one feature.

    Args:
        reference: float64 `[pieces, size]`; rows with NaN are left out.
        other: the same of the other set.

    Returns:
        None where either set has fewer than `FEWEST_PIECES` usable rows, or nothing differs anywhere.
    """
    first, second = (rows[np.isfinite(rows).all(axis=1)] for rows in (reference, other))
    if min(len(first), len(second)) < FEWEST_PIECES:
        return None
    within = distances(first, first)[np.triu_indices(len(first), 1)]
    between = distances(first, second).ravel()
    low, high = min(within.min(), between.min()), max(within.max(), between.max())
    if high <= low:
        return None
    widths = [_bandwidth(values, high - low) for values in (within, between)]
    points = np.linspace(low - _CUT * max(widths), high + _CUT * max(widths), _POINTS)
    p, q = (density(values, points, width) for values, width in zip((within, between), widths, strict=True))
    p, q = (np.maximum(values / values.sum(), _LEAST_SHARE) for values in (p, q))
    divergence = float((p * np.log(p / q)).sum())
    return Overlap(float(np.minimum(p, q).sum()), max(divergence, 0.0))


def distances(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distances between all rows, float64 `[first, second]`."""
    if first.shape[1] == 1:
        return np.asarray(np.abs(first - second.T))
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None] - 2 * first @ second.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def density(values: NDArray[np.float64], points: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Gaussian kernel density of `values` at `points`; of very many values an even choice, always the same."""
    if len(values) > _MOST_DISTANCES:
        values = np.sort(values)[np.arange(_MOST_DISTANCES) * len(values) // _MOST_DISTANCES]
    scaled = (points[:, None] - values[None]) / width
    heights: NDArray[np.float64] = np.exp(-0.5 * scaled**2).sum(axis=1) / (len(values) * width * np.sqrt(2 * np.pi))
    return heights


def _bandwidth(values: NDArray[np.float64], spread: float) -> float:
    """Scott's rule, as in SciPy's `gaussian_kde`."""
    return float(max(values.std(ddof=1) * len(values) ** -0.2, spread * _NARROWEST))
