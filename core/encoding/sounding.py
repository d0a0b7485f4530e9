"""What a stream of events has come to: when each pitch was last struck or released, and what the instant has had.

Light: numpy only. `core.modeling.sounding` follows the same facts on a device; a test holds both together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.encoding.performance import NOTE_OFF, TIME_SHIFT, VELOCITY, VELOCITY_BINS

NEVER = -(2**30)
"""`last` of a pitch that was never struck; even, so it is silent."""
NOTHING_YET = -1
"""`reached` of an instant without a note-on or note-off."""
NO_VELOCITY = VELOCITY_BINS
"""`velocity` before the first velocity event."""

AGE_EDGES = np.unique(np.rint(np.geomspace(1, 800, 25))).astype(np.int32)
"""The least ticks of each age: ever longer by about a third, from 10 ms to 8 s and beyond."""
AGE_COUNT = len(AGE_EDGES)

Facts = dict[str, NDArray[np.int32]]


def no_facts(rows: int) -> Facts:
    """The facts before a stream's first event.

    Returns:
        `last`, int32 `[rows, 128]`: `2 * ticks + 1` for a pitch that sounds, `2 * ticks` for a silent one, where ticks
        of 10 ms (0 or fewer) are the time of its last note-on or note-off, counted from now.
        `reached`, int32 `[rows]`: the last note-off (its pitch) or note-on (128 + its pitch) of this instant.
        `velocity`, int32 `[rows]`: the bin that holds.
    """
    return {
        "last": np.full((rows, 128), NEVER, np.int32),
        "reached": np.full(rows, NOTHING_YET, np.int32),
        "velocity": np.full(rows, NO_VELOCITY, np.int32),
    }


def facts_after(events: NDArray[np.integer], before: Facts) -> Facts:
    """The facts of one row `[1, ...]` after more events, integers `[e]`.

    A note-off within the tick of its note-on does nothing: no note is shorter than a tick.
    """
    tokens = events.astype(np.int64)
    shifts = np.where((tokens >= TIME_SHIFT) & (tokens < VELOCITY), tokens - (TIME_SHIFT - 1), 0)
    ticks = np.cumsum(shifts)
    passed = int(ticks[-1]) if tokens.size else 0
    rows = np.flatnonzero(tokens < TIME_SHIFT)
    last = np.maximum(before["last"][0].astype(np.int64) - 2 * passed, NEVER)
    struck = tokens[rows] < NOTE_OFF
    np.maximum.at(last, tokens[rows] % NOTE_OFF, 2 * (ticks[rows] - passed) + struck)
    reached = before["reached"][0] if passed == 0 else NOTHING_YET
    now = tokens[rows][ticks[rows] == passed]
    keys = np.where(now < NOTE_OFF, now + 128, now - NOTE_OFF)
    velocities = tokens[(tokens >= VELOCITY) & (tokens < VELOCITY + VELOCITY_BINS)]
    velocity = velocities[-1] - VELOCITY if velocities.size else before["velocity"][0]
    return {
        "last": last[None].astype(np.int32),
        "reached": np.array([max(reached, keys.max(initial=NOTHING_YET))], np.int32),
        "velocity": np.array([velocity], np.int32),
    }


def facts_along(events: NDArray[np.integer], every: int) -> Facts:
    """The facts before every `every`-th event of a piece, the first one included.

    Args:
        events: integers `[e]`, e at least 1, from the piece's begin.

    Returns:
        As `facts_after` gives them for what comes before, row by row: `[ceil(e / every), ...]`.
    """
    tokens = events.astype(np.int64)
    places = np.arange(0, tokens.size, every)
    ticks = np.cumsum(np.where((tokens >= TIME_SHIFT) & (tokens < VELOCITY), tokens - (TIME_SHIFT - 1), 0))
    now = np.concatenate(([0], ticks))[places]

    def greatest(
        rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.int64], width: int, least: int
    ) -> NDArray[np.int64]:
        """Of each column, the greatest value before each place; `least` where there is none."""
        table = np.full((places.size + 1, width), least, np.int64)
        np.maximum.at(table, (rows // every + 1, columns), values)
        return np.maximum.accumulate(table, axis=0)[:-1]

    rows = np.flatnonzero(tokens < TIME_SHIFT)
    keys, struck = tokens[rows], tokens[rows] < NOTE_OFF
    last = greatest(rows, keys % NOTE_OFF, 2 * ticks[rows] + struck, 128, NEVER)
    # Those of later instants are larger, so the greatest belongs to the present one or to none.
    within = np.where(struck, keys + 128, keys - NOTE_OFF)
    reached = greatest(rows, np.zeros_like(rows), ticks[rows] * 256 + within, 1, NOTHING_YET)[:, 0]
    rows = np.flatnonzero((tokens >= VELOCITY) & (tokens < VELOCITY + VELOCITY_BINS))
    loudness = greatest(rows, np.zeros_like(rows), (rows + 1) * 64 + tokens[rows] - VELOCITY, 1, NO_VELOCITY)[:, 0] % 64
    return {
        "last": np.maximum(last - 2 * now[:, None], NEVER).astype(np.int32),
        "reached": np.maximum(reached - now * 256, NOTHING_YET).astype(np.int32),
        "velocity": loudness.astype(np.int32),
    }
