"""What sounds where a window begins: the facts of the whole piece before it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.encoding.sounding import NEVER, Facts, facts_after, no_facts

# Facts are kept for every so many events of a piece; from there a window's are a few microseconds away.
_EVERY = 512


class Openings:
    """The facts before any event of streams that lie end to end."""

    def __init__(self, stream: NDArray[np.uint16], offsets: NDArray[np.int64]) -> None:
        """`stream` holds the pieces' events `[e]`, piece i from `offsets[i]` to `offsets[i + 1]`."""
        self._stream = stream
        self._kept: dict[int, Facts] = {}
        for first, end in pairwise(offsets.tolist()):
            facts = no_facts(1)
            for at in range(first, end, _EVERY):
                self._kept[at] = facts
                facts = facts_after(stream[at : min(end, at + _EVERY)], facts)

    def at(self, first: int, place: int) -> Facts:
        """The facts `[1, ...]` before the event at `place`, in the piece that begins at `first`."""
        kept = place - (place - first) % _EVERY
        return facts_after(self._stream[kept:place], self._kept[kept])


def transposed(facts: Facts, semitones: NDArray[np.int32]) -> Facts:
    """Each row's facts so many semitones `[rows]` higher; pitches that leave the range are forgotten."""
    pitches = np.arange(facts["last"].shape[1]) - semitones[:, None]
    within = (pitches >= 0) & (pitches < facts["last"].shape[1])
    last = np.where(within, np.take_along_axis(facts["last"], np.where(within, pitches, 0), axis=1), NEVER)
    # Of a note-on or note-off of this very instant; its kind stays.
    return {**facts, "last": last.astype(np.int32), "reached": _moved(facts["reached"], semitones)}


def _moved(reached: NDArray[np.int32], semitones: NDArray[np.int32]) -> NDArray[np.int32]:
    kind = reached & 128
    return np.where(reached < 0, reached, kind + np.clip((reached & 127) + semitones, 0, 127)).astype(np.int32)
