"""Where the windows of the article's network begin in pieces that lie end to end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.encoding.tutorial import to_triples
from core.music.notes import Notes


def window_starts(pieces: list[Notes], window: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All pieces as triples `[notes, 3]` end to end, and the first row of every window with a note after it.

    No window crosses from one piece into another.
    """
    triples = [to_triples(piece) for piece in pieces] or [np.zeros((0, 3), np.float32)]
    offsets = np.cumsum([0, *(len(part) for part in triples)])
    starts = [
        np.arange(offset, offset + max(0, len(part) - window))
        for offset, part in zip(offsets[:-1], triples, strict=False)
    ]
    return np.concatenate(triples), np.concatenate(starts or [np.zeros(0)]).astype(np.int64)


def spread(starts: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most `most` of the starts, evenly spaced and always the same; all where there are no more."""
    if starts.size <= most:
        return starts
    return starts[np.arange(most) * starts.size // most]
