"""What sounds and what may come next, followed on the device: over whole windows, and event by event."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from core.encoding.performance import BEGIN, NOTE_OFF, TIME_SHIFT, VELOCITY, VELOCITY_BINS
from core.encoding.sounding import NEVER, NO_VELOCITY, NOTHING_YET
from core.modeling.backend import Tensor, Tree

_PITCHES = np.arange(128, dtype=np.int32)


def facts_over(events: Tensor, before: Tree) -> tuple[Tree, Tree]:
    """The facts after each event of a window, and after its last; as `core.encoding.sounding` defines them.

    Args:
        events: int32 `[batch, time]`.
        before: the facts before the window, `[batch, ...]`.

    Returns:
        `last` int32 `[batch, time, 128]`, `reached` and `velocity` int32 `[batch, time]`; and the last of each.
    """
    ticks = ops.cumsum(_ticks(events), axis=1)
    is_note = events < TIME_SHIFT
    code = 2 * ticks + ops.cast(events < NOTE_OFF, "int32")
    own = is_note[..., None] & (events[..., None] % NOTE_OFF == _PITCHES)
    last = _running_max(ops.where(own, code[..., None], NEVER), before["last"])
    last = ops.maximum(last - 2 * ticks[..., None], NEVER)
    # Keys of later instants are larger, so the greatest so far belongs to this one or to none.
    greatest = _running_max(ops.where(is_note, ticks * 256 + _key(events), NOTHING_YET), before["reached"])
    reached = ops.maximum(greatest - ticks * 256, NOTHING_YET)
    place = np.arange(1, events.shape[1] + 1, dtype=np.int32) * 64
    loudness = _running_max(ops.where(_is_velocity(events), place + events - VELOCITY, -1), before["velocity"]) % 64
    facts = {"last": last, "reached": reached, "velocity": loudness}
    return facts, {name: values[:, -1] for name, values in facts.items()}


def facts_next(event: Tensor, before: Tree) -> Tree:
    """The facts `[rows, ...]` after one more event each, int32 `[rows]`."""
    ticks = _ticks(event)
    is_note = event < TIME_SHIFT
    own = is_note[:, None] & (event[:, None] % NOTE_OFF == _PITCHES)
    last = ops.maximum(before["last"] - 2 * ticks[:, None], NEVER)
    code = ops.cast(event < NOTE_OFF, "int32")[:, None]
    reached = ops.where(ticks > 0, NOTHING_YET, before["reached"])
    return {
        "last": ops.where(own, ops.maximum(last, code), last),
        "reached": ops.where(is_note, ops.maximum(reached, _key(event)), reached),
        "velocity": ops.where(_is_velocity(event), event - VELOCITY, before["velocity"]),
    }


def sounds(facts: Tree) -> Tensor:
    """bool `[..., 128]`."""
    return facts["last"] % 2 == 1


def age_ticks(facts: Tree) -> Tensor:
    """int32 `[..., 128]`: ticks of 10 ms since each pitch was struck, or released."""
    return (1 - facts["last"]) // 2


def canonical_events(event: Tensor, facts: Tree) -> Tensor:
    """bool `[..., 390]`: the events that can follow in a stream that `core.encoding.performance.encode` made.

    Args:
        event: int32 `[...]`, the last event.
        facts: after it.
    """
    sounding, reached = sounds(facts), facts["reached"][..., None]
    quiet, last = ~_is_velocity(event)[..., None], event[..., None]
    ons = ~sounding & (reached < _PITCHES + 128)
    offs = sounding & (age_ticks(facts) > 0) & (reached < _PITCHES) & quiet
    # All but the last of a pause's shifts pass a whole second.
    shifts = quiet & ~((last >= TIME_SHIFT) & (last < VELOCITY - 1))
    bins = np.arange(VELOCITY_BINS, dtype=np.int32)
    velocities = quiet & ops.any(ons, axis=-1, keepdims=True) & (bins != facts["velocity"][..., None])
    over = (last >= NOTE_OFF) & (last < TIME_SHIFT) & ~ops.any(sounding, axis=-1, keepdims=True)
    known = facts["velocity"][..., None] != NO_VELOCITY
    return ops.concatenate(
        [
            ons & known,
            offs,
            ops.broadcast_to(shifts, (*shifts.shape[:-1], VELOCITY - TIME_SHIFT)),
            velocities,
            ops.zeros_like(shifts),
            over | (last == BEGIN),
        ],
        axis=-1,
    )


def _ticks(events: Tensor) -> Tensor:
    return ops.where((events >= TIME_SHIFT) & (events < VELOCITY), events - (TIME_SHIFT - 1), 0)


def _key(events: Tensor) -> Tensor:
    """Where a note-off (0 to 127) or note-on (128 to 255) has its place within an instant."""
    return ops.where(events < NOTE_OFF, events + 128, events - NOTE_OFF)


def _is_velocity(events: Tensor) -> Tensor:
    return (events >= VELOCITY) & (events < BEGIN)


def _running_max(values: Tensor, before: Tensor) -> Tensor:
    """The greatest of `values` `[batch, time, ...]` so far and of what came before, `[batch, ...]`."""
    result = ops.maximum(values, before[:, None])
    distance, time = 1, values.shape[1]
    rest: list[Any] = [(0, 0)] * (len(values.shape) - 2)
    while distance < time:
        earlier = ops.pad(result[:, :-distance], [(0, 0), (distance, 0), *rest], constant_values=NEVER)
        result = ops.maximum(result, earlier)
        distance *= 2
    return result
