"""Music that takes are compared with: excerpts of held-out pieces, in two halves, and random notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.music.notes import Notes

_SHORTEST = 16


@dataclass(frozen=True, slots=True, eq=False)
class RealMusic:
    """Excerpts of held-out pieces in two halves of different pieces: the reference, and real music beside the takes."""

    reference: list[Notes]
    beside: list[Notes]


def held_out_excerpts(pieces: Sequence[Notes], notes: int, wanted: int) -> RealMusic:
    """Cut excerpts of `notes` notes from pieces: about `wanted` for each half, no piece in both.

    The first begins with the piece, as takes do; further ones, where there are fewer pieces than wanted, are spread
    evenly over it and do not overlap. Pieces of fewer notes are taken whole; those of fewer than 16 are left out.
    """
    usable = [piece for piece in pieces if len(piece) >= min(notes, _SHORTEST)]
    each = -(-2 * wanted // max(1, len(usable)))
    halves: tuple[list[Notes], list[Notes]] = ([], [])
    for number, piece in enumerate(usable):
        count = max(1, min(each, len(piece) // notes))
        for first in (np.arange(count) * ((len(piece) - notes) / max(1, count - 1))).astype(int).clip(0):
            halves[number % 2].append(excerpt(piece, int(first), notes))
    return RealMusic(halves[0][:wanted], halves[1][:wanted])


def excerpt(piece: Notes, first: int, count: int) -> Notes:
    """`count` notes from row `first` on, moved to begin at 0; without the silence before."""
    cut = piece[slice(first, first + count)]
    start = cut.onset_seconds[0] if len(cut) else 0.0
    return Notes(cut.onset_seconds - start, cut.duration_seconds, cut.pitch, cut.velocity)


def random_music(like: Sequence[Notes], wanted: int, seed: int = 0) -> list[Notes]:
    """Pieces of random notes, each as long as one of `like`: what a measure must tell from music to be of use.

    Pitches are even over the piano's 88 keys, loudness over 1 to 127; times between onsets and lengths are exponential
    with the mean of the music in `like`.
    """
    generator = np.random.default_rng([seed, len(like)])
    filled = [piece for piece in like if len(piece)]
    if not filled:
        return []
    step = float(np.mean([piece.end_seconds / len(piece) for piece in filled]))
    length = float(np.mean([piece.duration_seconds.mean() for piece in filled]))
    pieces = []
    for number in range(wanted):
        count = len(filled[number % len(filled)])
        onset = np.cumsum(generator.exponential(step, count))
        duration = generator.exponential(length, count).clip(0.01)
        pieces.append(
            Notes.of(onset - onset[0], duration, generator.integers(21, 109, count), generator.integers(1, 128, count))
        )
    return pieces
