"""The longest passage that a take shares with a training piece, in pitch and rhythm, whatever the key and tempo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.passages import TICKS_PER_SECOND, Line, PassageIndex
from core.music.notes import Notes

VERSION = 1
"""Raised whenever the same take and pieces would be found to share another passage."""
# What occurs more often is a common figure, a trill or a scale, of which sharing says nothing; nothing starts there.
_MOST_PLACES = 256
_MOST_CANDIDATES = 64
# A passage goes on over so many intervals that differ (a changed note changes two) between longer ones that agree.
_LONGEST_GAP = 4
_LEAST_RUN = 6
_LARGEST_TEMPO = 3.0
_LARGEST_SHARE = 0.25
_LARGEST_TICKS = 4


@dataclass(frozen=True, slots=True)
class SharedPassage:
    """A passage of a take beside that of a piece.

    Attributes:
        notes: how many agree; the measure of copying.
        piece: the piece's index in its dataset.
        take_seconds, piece_seconds: where the passage begins and its last note is struck, in each.
        transposition: semitones from the piece up to the take.
        tempo: how many times as slow the take is.
    """

    notes: int
    piece: int
    take_seconds: tuple[float, float]
    piece_seconds: tuple[float, float]
    transposition: int
    tempo: float


def longest_shared(notes: Notes, index: PassageIndex, leave_out: int = -1) -> SharedPassage | None:
    """The longest passage that a take shares with any indexed piece; None where not even nine notes agree.

    Intervals agree when they are equal; steps in time agree when, at the passage's own tempo, they differ by at most
    40 ms or a quarter. Up to three notes in between may differ.

    Args:
        notes: of the take.
        index: the training pieces.
        leave_out: a piece that does not count, so that training pieces can be held against all others.
    """
    line = Line.of(notes)
    found = [_along(line, index, diagonal, piece) for diagonal, piece in _candidates(line, index, leave_out)]
    return max((passage for passage in found if passage is not None), key=lambda passage: passage.notes, default=None)


def _candidates(line: Line, index: PassageIndex, leave_out: int) -> list[tuple[int, int]]:
    """(offset of the piece's rows from the take's, piece): the diagonals with the most seeds, those first."""
    keys, own = np.unique(line.seeds(), return_inverse=True)
    # Ascending, neighbouring keys are found in neighbouring memory: half the time of keys as they come.
    first, last = np.searchsorted(index.keys, keys, side="left"), np.searchsorted(index.keys, keys, side="right")
    first, last, keys = first[own], last[own], keys[own]
    counts = np.where(last - first > _MOST_PLACES, 0, last - first)
    if not counts.sum():
        return []
    takes = np.repeat(np.arange(len(keys)), counts)
    places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    rows = index.order[places].astype(np.int64)
    owners = np.searchsorted(index.offsets, rows, side="right") - 1
    # Rows of two pieces can lie on one diagonal: they are told apart by the piece.
    lanes = (rows - takes) * len(index) + owners
    if leave_out >= 0:
        lanes = lanes[index.pieces[owners] != leave_out]
    lanes, seeds = np.unique(lanes, return_counts=True)
    best = lanes[np.argsort(-seeds, kind="stable")[:_MOST_CANDIDATES]]
    return [(int(lane // len(index)), int(lane % len(index))) for lane in best]


def _along(line: Line, index: PassageIndex, diagonal: int, piece: int) -> SharedPassage | None:
    """The longest passage on one diagonal of one piece."""
    low = max(0, int(index.offsets[piece]) - diagonal)
    high = min(len(line), int(index.offsets[piece + 1]) - diagonal)
    take = slice(low, high)
    other = slice(low + diagonal, high + diagonal)
    own_steps, its_steps = np.diff(line.tick[take]), np.diff(index.line.tick[other])
    agree = np.diff(line.pitch[take]) == np.diff(index.line.pitch[other])
    passage = _longest(agree)
    tempo = 1.0
    # The tempo is that of the passage, and the passage depends on it: the second look settles both.
    for _ in range(2):
        if passage is None:
            return None
        tempo = _tempo(own_steps[slice(*passage)], its_steps[slice(*passage)])
        expected = its_steps * tempo
        far = np.abs(own_steps - expected) > np.maximum(
            _LARGEST_TICKS, _LARGEST_SHARE * np.maximum(own_steps, expected)
        )
        passage = _longest(agree & ~far) if 1 / _LARGEST_TEMPO <= tempo <= _LARGEST_TEMPO else None
    if passage is None:
        return None
    begin, end = passage
    ticks, piece_ticks = line.tick[take], index.line.tick[other]
    return SharedPassage(
        notes=int((agree & ~far)[begin:end].sum()) + 1,
        piece=int(index.pieces[piece]),
        take_seconds=(float(ticks[begin]) / TICKS_PER_SECOND, float(ticks[end]) / TICKS_PER_SECOND),
        piece_seconds=(float(piece_ticks[begin]) / TICKS_PER_SECOND, float(piece_ticks[end]) / TICKS_PER_SECOND),
        transposition=int(line.pitch[low + begin]) - int(index.line.pitch[low + diagonal + begin]),
        tempo=tempo,
    )


def _longest(agree: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Begin and end of the steps of the longest passage, by the steps in it that agree."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], agree, [False])).astype(np.int8)))
    begins, ends = edges[::2], edges[1::2]
    long = ends - begins >= _LEAST_RUN
    begins, ends = begins[long], ends[long]
    if not len(begins):
        return None
    opens = np.concatenate(([True], begins[1:] - ends[:-1] > _LONGEST_GAP))
    group = np.cumsum(opens) - 1
    sizes = np.bincount(group, weights=ends - begins)
    best = int(np.argmax(sizes))
    members = np.flatnonzero(group == best)
    return int(begins[members[0]]), int(ends[members[-1]])


def _tempo(own: NDArray[np.int32], its: NDArray[np.int32]) -> float:
    moving = (own > 0) & (its > 0)
    return float(np.median(own[moving] / its[moving])) if moving.any() else 1.0
