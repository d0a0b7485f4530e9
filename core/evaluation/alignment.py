"""Passages of two lines of notes that agree, a few notes aside that one has and the other has not, or has otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.passages import Line

# A stretch has so many intervals at least, and goes on over so many steps of either line that hold what differs.
_LEAST_INTERVALS = 6
_LONGEST_GAP = 4
# Where a note is repeated, the stretch before a missing one ends later by chance than it should: so many may overlap.
_LARGEST_OVERLAP = 3
_LARGEST_TEMPO = 3.0
_LARGEST_SHARE = 0.25
_LARGEST_TICKS = 4
# Stretches whose tempo is within a fifth of another's are looked for together with it.
_SAME_TEMPO = 1.2


@dataclass(frozen=True, slots=True)
class Passage:
    """Where two lines agree.

    Attributes:
        notes: how many agree.
        own, its: first and last row of the passage in either line.
        transposition: semitones from the other line up to the own.
        tempo: how many times as slow the own line is.
    """

    notes: int
    own: tuple[int, int]
    its: tuple[int, int]
    transposition: int
    tempo: float


@dataclass(frozen=True, slots=True, eq=False)
class _Stretches:
    """Rows of both lines that agree one by one, int64 `[n]` each, in the order of `begin`.

    Attributes:
        begin, end: first and last row in the own line.
        diagonal: what is added to a row to have the other line's.
        transposition: semitones from the other line up to the own.
        tempo: float64; of the stretch as a whole.
    """

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    diagonal: NDArray[np.int64]
    transposition: NDArray[np.int64]
    tempo: NDArray[np.float64]

    @classmethod
    def of(
        cls, own: Line, its: Line, begin: NDArray[np.int64], end: NDArray[np.int64], diagonal: NDArray[np.int64]
    ) -> _Stretches:
        order = np.lexsort((diagonal, begin))
        begin, end, diagonal = begin[order], end[order], diagonal[order]
        own_ticks = own.tick[end] - own.tick[begin]
        its_ticks = its.tick[end + diagonal] - its.tick[begin + diagonal]
        transposition = own.pitch[begin].astype(np.int64) - its.pitch[begin + diagonal]
        return cls(begin, end, diagonal, transposition, (own_ticks + 1) / (its_ticks + 1))

    def __len__(self) -> int:
        return len(self.begin)

    @property
    def notes(self) -> NDArray[np.int64]:
        return self.end - self.begin + 1

    def where(self, mask: NDArray[np.bool_]) -> _Stretches:
        return _Stretches(
            self.begin[mask], self.end[mask], self.diagonal[mask], self.transposition[mask], self.tempo[mask]
        )


def passages_along(own: Line, its: Line, diagonals: NDArray[np.int64], longer_than: int = 0) -> Iterator[Passage]:
    """The passages on these diagonals, at the most one for each key and tempo in which the lines agree.

    Rows agree one by one along a diagonal: equal intervals, and steps in time that, at the passage's own tempo (up to
    three times as fast or slow), differ by at most 40 ms or a quarter. A passage goes on where up to three notes of
    either line, or of both, have no counterpart in the other: on the same diagonal where notes were changed, on
    another where some were left out or put in. Its key stays.

    Args:
        own: the line whose passages are looked for.
        its: that of a piece.
        diagonals: int64 `[k]`; a diagonal d lays row i of `own` beside row i + d of `its`.
        longer_than: only passages with more notes are wanted; shorter ones may be left out.
    """
    found = _of_equal_intervals(own, its, diagonals)
    for transposition in np.unique(found.transposition):
        here = found.where(found.transposition == transposition)
        rest = here
        while len(rest) and here.notes.sum() > longer_than:
            longest = int(np.argmax(rest.notes))
            tempo = _tempo(own, its, [(int(rest.begin[longest]), int(rest.end[longest]), int(rest.diagonal[longest]))])
            passage = _passage(own, its, here, tempo) if 1 / _LARGEST_TEMPO <= tempo <= _LARGEST_TEMPO else None
            if passage is not None and passage.notes > longer_than:
                longer_than = passage.notes
                yield passage
            others = np.abs(np.log(rest.tempo / tempo)) > np.log(_SAME_TEMPO)
            others[longest] = False
            rest = rest.where(others)


def _of_equal_intervals(own: Line, its: Line, diagonals: NDArray[np.int64]) -> _Stretches:
    diagonals = np.sort(diagonals)
    low = max(0, -int(diagonals[-1]))
    high = min(len(own), len(its) - int(diagonals[0]))
    rows = np.arange(low, max(low, high - 1))
    places = rows + diagonals[:, None]
    inside = (places >= 0) & (places < len(its) - 1)
    equal = np.diff(own.pitch)[rows] == np.diff(its.pitch)[places.clip(0, max(0, len(its) - 2))]
    lane, begin, end = _runs(equal & inside)
    return _Stretches.of(own, its, begin + low, end + low, diagonals[lane])


def _passage(own: Line, its: Line, stretches: _Stretches, tempo: float) -> Passage | None:
    """The longest passage of these stretches, which are in one key, at about this tempo."""
    rows = np.concatenate([np.arange(begin, end) for begin, end in zip(stretches.begin, stretches.end, strict=True)])
    sizes = stretches.notes - 1
    diagonal = np.repeat(stretches.diagonal, sizes)
    own_steps = own.tick[rows + 1] - own.tick[rows]
    its_steps = its.tick[rows + diagonal + 1] - its.tick[rows + diagonal]
    chain: list[tuple[int, int, int]] = []
    # The tempo is that of the passage, and the passage depends on it: the second look settles both.
    for _ in range(2):
        expected = its_steps * tempo
        room = np.maximum(_LARGEST_TICKS, _LARGEST_SHARE * np.maximum(own_steps, expected))
        agree = np.zeros(len(rows) + len(stretches), np.bool_)
        # One that disagrees after each stretch keeps neighbours apart.
        place = np.arange(len(rows)) + np.repeat(np.arange(len(stretches)), sizes)
        agree[place] = np.abs(own_steps - expected) <= room
        _, begin, end = _runs(agree[None])
        first = np.zeros(len(agree), np.int64)
        first[place] = np.arange(len(rows))
        flat_begin, flat_end = first[begin], first[end - 1]
        chain = _longest_chain(_Stretches.of(own, its, rows[flat_begin], rows[flat_end] + 1, diagonal[flat_begin]))
        if not chain:
            return None
        tempo = _tempo(own, its, chain)
        if not 1 / _LARGEST_TEMPO <= tempo <= _LARGEST_TEMPO:
            return None
    (begin_row, _, before), (_, end_row, after) = chain[0], chain[-1]
    return Passage(
        sum(end - begin + 1 for begin, end, _ in chain),
        (begin_row, end_row),
        (begin_row + before, end_row + after),
        int(stretches.transposition[0]),
        tempo,
    )


def _runs(agree: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(lane, first, one behind the last) of all runs of at least so many steps that agree, in bool `[lanes, steps]`."""
    padded = np.zeros((agree.shape[0], agree.shape[1] + 2), np.int8)
    padded[:, 1:-1] = agree
    edges = np.diff(padded, axis=1)
    lane, begin = np.nonzero(edges == 1)
    end = np.nonzero(edges == -1)[1]
    long = end - begin >= _LEAST_INTERVALS
    return lane[long], begin[long], end[long]


def _tempo(own: Line, its: Line, chain: list[tuple[int, int, int]]) -> float:
    """The middle of what each step of the stretches takes against the other line's."""
    own_steps = np.concatenate([np.diff(own.tick[begin : end + 1]) for begin, end, _ in chain])
    its_steps = np.concatenate([np.diff(its.tick[begin + by : end + by + 1]) for begin, end, by in chain])
    moving = (own_steps > 0) & (its_steps > 0)
    return float(np.median(own_steps[moving] / its_steps[moving])) if moving.any() else 1.0


def _longest_chain(stretches: _Stretches) -> list[tuple[int, int, int]]:
    """(first row, last row, diagonal) of stretches that follow one another in both lines, with the most notes."""
    count = len(stretches)
    if not count:
        return []
    its_begin, its_end = stretches.begin + stretches.diagonal, stretches.end + stretches.diagonal
    best, before, cut = stretches.notes.copy(), np.full(count, -1), np.zeros(count, np.int64)
    for number in range(1, count):
        # In the order of their beginnings only those can come before it that ended a few rows ago at most.
        steps = stretches.begin[number] - stretches.end[:number]
        its_steps = its_begin[number] - its_end[:number]
        nearest, farthest = np.minimum(steps, its_steps), np.maximum(steps, its_steps)
        overlap = np.maximum(0, 1 - nearest)
        joined = np.where((farthest <= _LONGEST_GAP) & (overlap <= _LARGEST_OVERLAP), best[:number] - overlap, 0)
        chosen = int(np.argmax(joined))
        if joined[chosen] > 0:
            best[number] += joined[chosen]
            before[number], cut[number] = chosen, overlap[chosen]
    chain, number = [], int(np.argmax(best))
    while number >= 0:
        begin = int(stretches.begin[number] + cut[number])
        chain.append((begin, int(stretches.end[number]), int(stretches.diagonal[number])))
        number = int(before[number])
    return chain[::-1]
