"""Pieces that nobody wrote, for what looks for copies."""

from __future__ import annotations

import numpy as np

from core.evaluation.passages import PassageIndex
from core.music.notes import Notes


def piece(seed: int, count: int = 400) -> Notes:
    """Chords and runs, nothing like another seed's."""
    generator = np.random.default_rng(seed)
    onsets = np.cumsum(generator.choice([0.0, 0.12, 0.24, 0.5], count))
    return Notes.of(onsets, generator.choice([0.1, 0.4], count), generator.integers(36, 90, count), np.full(count, 64))


PIECES = [piece(seed) for seed in range(30)]
INDEX = PassageIndex.build(PIECES, range(100, 130))
