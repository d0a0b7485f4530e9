"""What sounds where a window begins: the facts of the whole piece before it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.encoding.sounding import NEVER, Facts, facts_after, facts_along

# Facts are kept for every so many events of a piece; from there a window's are a few microseconds away.
_EVERY = 512


class Openings:
    """The facts before any event of streams that lie end to end; each piece is followed when it is first asked for."""

    def __init__(self, stream: NDArray[np.uint16], offsets: NDArray[np.int64]) -> None:
        """`stream` holds the pieces' events `[e]`, piece i from `offsets[i]` to `offsets[i + 1]`."""
        self._stream = stream
        self._ends = dict(pairwise(offsets.tolist()))
        self._kept: dict[int, Facts] = {}  # of each piece, by its first event

    def at(self, first: int, place: int) -> Facts:
        """The facts `[1, ...]` before the event at `place`, in the piece that begins at `first`."""
        if first not in self._kept:
            self._kept[first] = facts_along(self._stream[first : self._ends[first]], _EVERY)
        known = (place - first) // _EVERY
        kept = {name: values[known : known + 1] for name, values in self._kept[first].items()}
        return facts_after(self._stream[first + known * _EVERY : place], kept)


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
