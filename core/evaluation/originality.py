"""The longest passage that a take shares with a training piece, in pitch and rhythm, whatever the key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.alignment import Passage, passages_along
from core.evaluation.passages import TICKS_PER_SECOND, Line, PassageIndex
from core.music.notes import Notes

VERSION = 3
"""Raised whenever the same take would be found to share another passage with a dataset. 2 counted what a person gave a
take to begin with, and held it against training pieces that its model's training had left out; of all other takes it
says the same as 3. 1 lost a passage at each note that was put in or left out."""
INDEX_VERSION = 2
"""Of what is stored of a dataset's pieces: raised with `VERSION` where that would be another one, too."""
# What occurs more often is a common figure, a trill or a scale, of which sharing says nothing; nothing starts there.
_MOST_PLACES = 256
_MOST_DIAGONALS = 64
# Each note that is put in or left out moves a copy by a row: so many rows off, seeds speak for the same passage.
_NEIGHBOURHOOD = 8


@dataclass(frozen=True, slots=True)
class SharedPassage:
    """A passage of a take beside that of a piece.

    Attributes:
        notes: how many agree; the measure of copying.
        piece: the piece's index in its dataset.
        take_seconds, piece_seconds: where the passage begins and its last note is struck, in each.
        transposition: semitones from the piece up to the take.
        tempo: how many times as slow the take is, 1/3 to 3.
    """

    notes: int
    piece: int
    take_seconds: tuple[float, float]
    piece_seconds: tuple[float, float]
    transposition: int
    tempo: float


def longest_shared(notes: Notes, index: PassageIndex, leave_out: int = -1) -> SharedPassage | None:
    """The longest passage that a take shares with any indexed piece; None where not even nine notes in a row agree.

    What agrees is told by `core.evaluation.alignment.passages_along`: up to three notes in between may be changed, put
    in or left out. Somewhere nine notes in a row must agree, and on each side of a note put in or left out as many.

    Args:
        notes: of the take.
        index: the training pieces.
        leave_out: a piece that does not count, so that training pieces can be held against all others.
    """
    line = Line.of(notes)
    longest: SharedPassage | None = None
    for number, diagonals in _candidates(line, index, leave_out):
        rows = slice(int(index.offsets[number]), int(index.offsets[number + 1]))
        piece = Line(index.line.pitch[rows], index.line.tick[rows])
        for passage in passages_along(line, piece, diagonals, longest.notes if longest else 0):
            longest = _shared(passage, line, piece, int(index.pieces[number]))
    return longest


def _candidates(line: Line, index: PassageIndex, leave_out: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(piece, diagonals in it, int64 `[k]`): those with the most seeds on them and beside them, the best piece first.

    A diagonal d lays row i of the take beside row i + d of the piece.
    """
    keys, own = np.unique(line.seeds(), return_inverse=True)
    # Ascending, neighbouring keys are found in neighbouring memory: half the time of keys as they come.
    first, last = np.searchsorted(index.keys, keys, side="left"), np.searchsorted(index.keys, keys, side="right")
    first, last, keys = first[own], last[own], keys[own]
    counts = np.where(last - first > _MOST_PLACES, 0, last - first)
    if not counts.sum():
        return
    takes = np.repeat(np.arange(len(keys)), counts)
    places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    rows = index.order[places].astype(np.int64)
    owners = np.searchsorted(index.offsets, rows, side="right") - 1
    if leave_out >= 0:
        kept = index.pieces[owners] != leave_out
        rows, takes, owners = rows[kept], takes[kept], owners[kept]
    # A piece's diagonals as one stretch of numbers, with room between two pieces' for their neighbourhoods.
    longest = int(np.diff(index.offsets).max())
    width = len(line) + longest + 2 * _NEIGHBOURHOOD
    lanes, seeds = np.unique(owners * width + (rows - index.offsets[owners] - takes + len(line)), return_counts=True)
    total = np.concatenate(([0], np.cumsum(seeds)))
    around = (
        total[np.searchsorted(lanes, lanes + _NEIGHBOURHOOD, side="right")]
        - total[np.searchsorted(lanes, lanes - _NEIGHBOURHOOD, side="left")]
    )
    best = lanes[np.lexsort((-seeds, -around))[:_MOST_DIAGONALS]]
    pieces, firsts = np.unique(best // width, return_index=True)
    for piece in pieces[np.argsort(firsts)]:
        yield int(piece), best[best // width == piece] % width - len(line)


def _shared(passage: Passage, line: Line, piece: Line, number: int) -> SharedPassage:
    own, its = (
        tuple(float(ticks[row]) / TICKS_PER_SECOND for row in rows)
        for ticks, rows in ((line.tick, passage.own), (piece.tick, passage.its))
    )
    return SharedPassage(
        passage.notes, number, (own[0], own[1]), (its[0], its[1]), passage.transposition, passage.tempo
    )
