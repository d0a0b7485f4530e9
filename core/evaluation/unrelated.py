"""How long a passage real pieces share with training pieces of other music: what copying is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.evaluation.excerpts import excerpt
from core.evaluation.originality import VERSION, longest_shared
from core.evaluation.passages import PassageIndex
from core.music.notes import Notes

EXCERPT_NOTES = 200
_MOST_EXCERPTS = 200
_LARGEST_EXCERPTS_PER_PIECE = 8
_PERCENTILE = 99
_LEAST_THRESHOLD = 16
_SHARE_OF_RELATED = 0.5


@dataclass(frozen=True, slots=True)
class Unrelated:
    """Longest shared passages of held-out excerpts with the training pieces, in notes.

    Attributes:
        lengths: one for each excerpt of up to 200 notes of an unrelated piece, ascending.
        related: held-out pieces of which an excerpt shares more than half with a training piece: the same music.
        pieces: held-out pieces in all.
    """

    lengths: tuple[int, ...]
    related: int
    pieces: int

    @property
    def threshold(self) -> int:
        """A take that shares so many notes or more is flagged: more than 99 of 100 unrelated real excerpts share."""
        if not self.lengths:
            return 2 * _LEAST_THRESHOLD
        return max(int(np.percentile(self.lengths, _PERCENTILE)) + 1, _LEAST_THRESHOLD)

    def as_json(self) -> dict[str, Any]:
        """What is stored beside the index."""
        return {
            "version": VERSION,
            "lengths": list(self.lengths),
            "related": self.related,
            "pieces": self.pieces,
            "threshold": self.threshold,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Unrelated:
        """Read back what `as_json` gave."""
        return cls(tuple(values["lengths"]), int(values["related"]), int(values["pieces"]))


def unrelated_passages(
    pieces: Sequence[Notes], index: PassageIndex, between: Callable[[int, int], None] = lambda _done, _total: None
) -> Unrelated:
    """Look up excerpts of held-out pieces, up to 200, in the index of the training pieces.

    Args:
        pieces: held out.
        index: of the training pieces.
        between: called with excerpts done and excerpts in all; may raise to interrupt.
    """
    usable = [piece for piece in pieces if len(piece)]
    each = max(1, min(_MOST_EXCERPTS // max(1, len(usable)), _LARGEST_EXCERPTS_PER_PIECE))
    chosen = usable[:: max(1, -(-len(usable) // _MOST_EXCERPTS))]
    lengths: list[int] = []
    related = done = 0
    for piece in chosen:
        count = max(1, min(each, len(piece) // EXCERPT_NOTES))
        firsts = [number * max(0, len(piece) - EXCERPT_NOTES) // max(1, count - 1) for number in range(count)]
        found = []
        for first in firsts:
            between(done, len(chosen) * each)
            cut = excerpt(piece, first, EXCERPT_NOTES)
            shared = longest_shared(cut, index)
            found.append((shared.notes if shared else 0, len(cut)))
            done += 1
        # A piece that is in the training set in another key, or under another name, says nothing of unrelated ones.
        if any(notes > _SHARE_OF_RELATED * length for notes, length in found):
            related += 1
        else:
            lengths.extend(notes for notes, _ in found)
    return Unrelated(tuple(sorted(lengths)), related, len(chosen))
