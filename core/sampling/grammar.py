"""Which events may come next, so that every take is music that can be played and has its length.

What sounds, and for how long, is told by the facts that `core.modeling.sounding` follows; here is what the limits of a
take need beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.encoding.performance import BEGIN, END, NOTE_OFF, NOTE_ON, STEPS_PER_SECOND, TIME_SHIFT, VELOCITY
from core.modeling.backend import Tensor, Tree
from core.modeling.sounding import age_ticks, sounds
from core.sampling.settings import TakeSettings

_LONGEST_SILENCE = 10 * STEPS_PER_SECOND
_LONGEST_RELEASE = 4 * STEPS_PER_SECOND
_NEVER = 2**30


@dataclass(frozen=True, slots=True)
class Limits:
    """What a take's settings ask of the grammar; times in ticks of 10 ms before the tempo factor is applied.

    Attributes:
        notes: note-ons after which only releases follow.
        end: tick at which the take ends.
        silence: longest time without a note-on.
        may_end: whether the model may end the piece itself.
        longest: after how long a note must be released.
        lowest, highest: the pitches that may begin.
    """

    notes: int
    end: int
    silence: int
    may_end: bool
    longest: int = 8 * STEPS_PER_SECOND
    lowest: int = 0
    highest: int = 127

    @classmethod
    def of(cls, settings: TakeSettings, begin: int = 0) -> Limits:
        """Limits of a take; a length in seconds is the finished take's, so more ticks are needed at a faster tempo.

        `begin` is the tick at which it begins: 0, or where the primer that it begins with ends.
        """
        longest = max(1, round(settings.longest_note * settings.tempo_factor * STEPS_PER_SECOND))
        rest = settings.may_end_early, longest, settings.lowest_pitch, settings.highest_pitch
        if settings.length_unit == "notes":
            return cls(int(settings.length), _NEVER, _LONGEST_SILENCE, *rest)
        end = max(1, round(settings.length * settings.tempo_factor * STEPS_PER_SECOND))
        return cls(_NEVER, begin + end, max(1, min(_LONGEST_SILENCE, end // 2)), *rest)

    def tensors(self) -> dict[str, np.generic]:
        """The same as scalars for the compiled loop, so that other limits need no other compilation."""
        return {
            "notes": np.int32(self.notes),
            "end": np.int32(self.end),
            "silence": np.int32(self.silence),
            "may_end": np.bool_(self.may_end),
            "longest": np.int32(self.longest),
            "lowest": np.int32(self.lowest),
            "highest": np.int32(self.highest),
        }


def initial_grammar(rows: int) -> dict[str, NDArray[np.generic]]:
    """The state before a take's first event: time 0, nothing played."""
    return {
        "time": np.zeros(rows, np.int32),
        "notes": np.zeros(rows, np.int32),
        "last_onset": np.zeros(rows, np.int32),
        "after_velocity": np.zeros(rows, bool),
        "done": np.zeros(rows, bool),
    }


def grammar_after(events: NDArray[np.uint16], rows: int) -> dict[str, NDArray[np.generic]]:
    """The state of every row after the events of a primer that the take begins with; its notes do not count."""
    state = initial_grammar(rows)
    is_shift = (events >= TIME_SHIFT) & (events < VELOCITY)
    time = np.cumsum(np.where(is_shift, events.astype(np.int64) - TIME_SHIFT + 1, 0))
    if events.size:
        state["time"][:] = time[-1]
        state["last_onset"][:] = time[events < NOTE_OFF].max(initial=0)
    return state


def allowed_events(state: Tree, facts: Tree, limits: Tree) -> Tensor:
    """bool `[rows, 390]`: the events that may come next.

    Ruled out are note-ons of sounding pitches and of those out of range, note-offs of silent ones or within the tick of
    their onset, a velocity after a velocity, the begin of a piece, and its end unless the take may end early and has a
    note. No pause grows beyond the limit: then a note must begin. No note outlasts its limit: then it must be released.
    After the last note only releases and pauses follow, for 4 s at most. Every instant has room for finitely many
    events, so every take ends; and at least one event is always allowed.
    """
    time, sounding, age = state["time"][:, None], sounds(facts), age_ticks(facts)
    playing = (state["notes"] < limits["notes"])[:, None]
    overdue = sounding & (age >= limits["longest"])
    must_release = ops.any(overdue, axis=-1, keepdims=True)
    quiet_until = ops.where(
        playing, state["last_onset"][:, None] + limits["silence"], state["last_onset"][:, None] + _LONGEST_RELEASE
    )
    pitches = ops.arange(NOTE_ON, NOTE_OFF, dtype="int32")
    startable = ~sounding & (pitches >= limits["lowest"]) & (pitches <= limits["highest"])
    must_play = playing & (time >= quiet_until) & ops.any(startable, axis=-1, keepdims=True) & ~must_release
    free = ~must_release & ~must_play
    held_until = time + limits["longest"] - ops.max(ops.where(sounding, age, -_NEVER), axis=-1, keepdims=True)
    reach = time + ops.arange(1, VELOCITY - TIME_SHIFT + 1, dtype="int32")
    ons = startable & playing & ~must_release
    offs = ops.where(must_release, overdue, sounding & (age > 0) & ~must_play)
    shifts = (reach <= ops.minimum(quiet_until, held_until)) & free
    velocities = playing & free & ops.any(startable, axis=-1, keepdims=True) & ~state["after_velocity"][:, None]
    end = limits["may_end"] & playing & free & (state["notes"] > 0)[:, None]
    never = ops.zeros_like(playing)
    return ops.concatenate([ons, offs, shifts, ops.repeat(velocities, BEGIN - VELOCITY, axis=-1), never, end], axis=-1)


def advance(state: Tree, facts: Tree, event: Tensor, limits: Tree) -> Tree:
    """The state after one event each, int32 `[rows]`; rows that are done stay as they are. `facts` are before it."""
    done = state["done"]
    event = ops.where(done, END, event)
    is_on = event < NOTE_OFF
    is_shift = (event >= TIME_SHIFT) & (event < VELOCITY)
    time = state["time"] + ops.where(is_shift, event - TIME_SHIFT + 1, 0)
    notes = state["notes"] + ops.cast(is_on, "int32")
    last_onset = ops.where(is_on, time, state["last_onset"])
    pitches = ops.arange(NOTE_ON, NOTE_OFF, dtype="int32")
    still = (sounds(facts) | (event[:, None] == pitches)) & (event[:, None] != pitches + NOTE_OFF)
    released = ~ops.any(still, axis=-1) | (time - last_onset >= _LONGEST_RELEASE)
    over = (event == END) | (time >= limits["end"]) | (notes >= limits["notes"]) & released
    return {
        "time": time,
        "notes": notes,
        "last_onset": last_onset,
        "after_velocity": (event >= VELOCITY) & (event < BEGIN),
        "done": done | over,
    }
