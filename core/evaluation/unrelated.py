"""How long a passage real pieces share with training pieces of other music: what copying is held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.evaluation.excerpts import excerpt
from core.evaluation.originality import INDEX_VERSION, longest_shared
from core.evaluation.passages import PassageIndex
from core.music.notes import Notes

EXCERPT_NOTES = 200
_MOST_EXCERPTS = 200
# So many give a length that another excerpt exceeds with a chance of 1 in 100.
_ENOUGH_EXCERPTS = 99
_LARGEST_EXCERPTS_PER_PIECE = 8
_SELDOM = 0.01
_LEAST_THRESHOLD = 16
_TAIL_SHARE = 0.2
# Two settings of the same music: of Bach's chorales, pairs that share a whole phrase note for note in all voices.
_SHARE_OF_RELATED = 0.25


@dataclass(frozen=True, slots=True)
class Unrelated:
    """Longest shared passages of excerpts of real pieces with the (other) training pieces, in notes.

    Attributes:
        lengths: one for each excerpt of up to 200 notes of an unrelated piece, ascending.
        related: held-out pieces of which an excerpt shares more than a quarter with a training piece: the same music.
        pieces: held-out pieces in all.
        of_training: so many of the lengths are of training pieces, each held against all others.
    """

    lengths: tuple[int, ...]
    related: int
    pieces: int
    of_training: int = 0

    def threshold(self, take_notes: int = EXCERPT_NOTES) -> int:
        """A take of so many notes that shares so many, or more, is flagged: unrelated real music seldom does.

        For 200 notes it is one more than the k-th shortest of the n lengths, k = ⌈0.99 (n + 1)⌉: of another unrelated
        excerpt the chance to exceed that one is at most (n + 1 - k) / (n + 1), so at most 1 in 100. Fewer than 99
        lengths have no such k; then it is one more than the longest, which another exceeds with a chance of 1 in n + 1.

        Of m notes the longest shared passage grows with the logarithm of m, as the longest run of matches between
        random sequences does (R. Arratia and M. S. Waterman, "Critical phenomena in sequence matching", Annals of
        Probability 13, 1985), by as much as the tail of the lengths is long: s ln(m / 200), where s is the mean by
        which the longest fifth exceeds the next one below. Never less than 16; 32 where there are no lengths.
        """
        count = len(self.lengths)
        if not count:
            return 2 * _LEAST_THRESHOLD
        rank = min(math.ceil((1 - _SELDOM) * (count + 1)), count)
        grown = self._tail_notes() * math.log(max(take_notes, 1) / EXCERPT_NOTES)
        return max(math.ceil(self.lengths[rank - 1] + grown) + 1, _LEAST_THRESHOLD)

    def reached(self, threshold: int) -> int:
        """How many of the excerpts share so many notes or more."""
        return sum(length >= threshold for length in self.lengths)

    def _tail_notes(self) -> float:
        """Mean excess of the longest fifth over the longest of the others, in notes."""
        largest = self.lengths[-math.ceil(_TAIL_SHARE * len(self.lengths)) :]
        others = self.lengths[: -len(largest)]
        return float(np.mean(largest)) - others[-1] if others else 0.0

    def as_json(self) -> dict[str, Any]:
        """What is stored beside the index."""
        return {
            "version": INDEX_VERSION,
            "lengths": list(self.lengths),
            "related": self.related,
            "pieces": self.pieces,
            "of_training": self.of_training,
            "threshold": self.threshold(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Unrelated:
        """Read back what `as_json` gave."""
        numbers = (int(values[name]) for name in ("related", "pieces", "of_training"))
        return cls(tuple(values["lengths"]), *numbers)


def unrelated_passages(
    held_out: Sequence[Notes],
    index: PassageIndex,
    training: Mapping[int, Notes] | None = None,
    between: Callable[[int, int], None] = lambda _done, _total: None,
) -> Unrelated:
    """Look up excerpts of real pieces, up to 200, in the index of the training pieces.

    Where the held-out pieces give fewer than 99, training pieces give the rest, each held against all others: a
    threshold that stands on a few dozen excerpts is one more than the longest of them, whatever that happened to be.
    Where they give enough, they alone decide: datasets such as MAESTRO hold many performances of one composition, all
    in the same split.

    Args:
        held_out: pieces that are not in the index.
        index: of the training pieces.
        training: the indexed pieces by their number; without them the held-out ones have to do.
        between: called with excerpts done and excerpts in all; may raise to interrupt.
    """
    chosen = _excerpts(dict(enumerate(held_out)), _MOST_EXCERPTS)
    count = sum(map(len, chosen.values()))
    # A single training piece has no others.
    usable = training if training and len(training) > 1 and count < _ENOUGH_EXCERPTS else {}
    others = _excerpts(usable, _MOST_EXCERPTS - count)
    total = sum(len(cuts) for cuts in [*chosen.values(), *others.values()])
    done = 0

    def lengths_of(cuts: list[Notes], leave_out: int) -> list[int]:
        """Empty where they are of the same music as an indexed piece."""
        nonlocal done
        lengths = []
        for cut in cuts:
            between(done, total)
            shared = longest_shared(cut, index, leave_out)
            lengths.append(shared.notes if shared else 0)
            done += 1
        # A piece that is there in another key, or under another name, says nothing of unrelated ones.
        related = any(length > _SHARE_OF_RELATED * len(cut) for length, cut in zip(lengths, cuts, strict=True))
        return [] if related else lengths

    found = [lengths_of(cuts, -1) for cuts in chosen.values()]
    beside = [length for number, cuts in others.items() for length in lengths_of(cuts, number)]
    lengths = sorted([length for each in found for length in each] + beside)
    return Unrelated(tuple(lengths), sum(not each for each in found), len(found), len(beside))


def _excerpts(pieces: Mapping[int, Notes], wanted: int) -> dict[int, list[Notes]]:
    """Up to `wanted` excerpts, of as many pieces as possible, spread over each piece that gives several."""
    usable = {number: piece for number, piece in pieces.items() if len(piece)}
    if not usable or wanted < 1:
        return {}
    each = max(1, min(wanted // len(usable), _LARGEST_EXCERPTS_PER_PIECE))
    chosen = list(usable.items())[:: -(-len(usable) // wanted)]
    cuts = {}
    for number, piece in chosen:
        count = max(1, min(each, len(piece) // EXCERPT_NOTES))
        firsts = [place * max(0, len(piece) - EXCERPT_NOTES) // max(1, count - 1) for place in range(count)]
        cuts[number] = [excerpt(piece, first, EXCERPT_NOTES) for first in firsts]
    return cuts
