"""Every take of a model that knows nothing is still music that can be played, and has its length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.encoding.performance import BEGIN, END, TIME_SHIFT, VELOCITY
from core.encoding.sounding import no_facts
from core.modeling.backend import jit, to_device, to_numpy
from core.modeling.sounding import facts_next
from core.sampling.choice import RULED_OUT, choose
from core.sampling.grammar import Limits, advance, allowed_events, initial_grammar
from core.sampling.settings import TakeSettings
from core.sampling.uniforms import Uniforms

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def draw() -> Any:
    """One step of every row with given logits."""

    import keras

    def step(state: Any, facts: Any, limits: Any, logits: Any, uniforms: Any) -> Any:
        allowed = allowed_events(state, facts, limits)
        event = choose(keras.ops.where(allowed, logits, RULED_OUT), uniforms)
        return event, allowed, advance(state, facts, event, limits), facts_next(event, facts)

    return jit(step)


# What a bad model may prefer: nothing in particular, pauses, notes, never a release, velocities, the end.
_TASTES: dict[str, tuple[int, int, float]] = {  # first event, the one after the last, how much they are preferred
    "anything": (0, 390, 0.0),
    "pauses": (TIME_SHIFT, VELOCITY, 12.0),
    "long pauses": (VELOCITY - 1, VELOCITY, 12.0),
    "notes": (0, 128, 12.0),
    "no releases": (128, 256, -25.0),
    "velocities": (VELOCITY, BEGIN, 12.0),
    "the end": (BEGIN, END + 1, 12.0),
}


@pytest.mark.parametrize(
    "values",
    [
        {"length": 40},
        {"length": 1},
        {"length": 40, "may_end_early": True},
        {"length_unit": "seconds", "length": 8},
        {"length_unit": "seconds", "length": 1, "tempo_factor": 0.25},
        {"length_unit": "seconds", "length": 60, "may_end_early": True},
    ],
)
def test_every_event_is_playable_and_every_take_ends(draw: Any, values: dict[str, Any]) -> None:
    limits = Limits.of(TakeSettings.parse(values))
    state, facts = to_device(initial_grammar(len(_TASTES))), to_device(no_facts(len(_TASTES)))
    logits = np.zeros((len(_TASTES), 390), np.float32)
    for row, (first, end, preference) in enumerate(_TASTES.values()):
        logits[row, first:end] = preference
    numbers = np.stack([Uniforms(row).take(60_000) for row in range(len(_TASTES))])
    checkers = [_Checker(limits) for _ in _TASTES]
    for place in range(60_000):
        if all(checker.done for checker in checkers):
            break
        event, allowed, state, facts = draw(state, facts, limits.tensors(), logits, numbers[:, place])
        events, mask, done = to_numpy(event), to_numpy(allowed), to_numpy(state["done"])
        for row, checker in enumerate(checkers):
            if not checker.done:
                checker.see(int(events[row]), mask[row])
                assert checker.done == done[row]
    assert all(checker.done for checker in checkers)


class _Checker:
    """The rules once more, in plain Python, for one take."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.time = self.notes = self.last_onset = 0
        self.since: dict[int, int] = {}
        self.previous = BEGIN
        self.done = False

    def see(self, event: int, mask: NDArray[np.bool_]) -> None:
        assert mask[event]
        assert not mask[BEGIN]
        assert not any(mask[pitch] for pitch in self.since)
        assert not any(mask[128 + pitch] for pitch in range(128) if self.since.get(pitch, self.time) >= self.time)
        playing = self.notes < self.limits.notes
        if event < 128:
            assert playing
            self.since[event] = self.last_onset = self.time
            self.notes += 1
        elif event < 256:
            del self.since[event - 128]
        elif event < VELOCITY:
            self.time += event - TIME_SHIFT + 1
            assert all(self.time - onset <= 800 for onset in self.since.values())
            assert self.time - self.last_onset <= (self.limits.silence if playing else 400)
        elif event < BEGIN:
            assert playing
            assert not VELOCITY <= self.previous < BEGIN
        else:
            assert event == END
            assert self.limits.may_end
            assert self.notes > 0
            self.done = True
        self.previous = event
        over = not self.notes < self.limits.notes and (not self.since or self.time - self.last_onset >= 400)
        self.done = self.done or self.time >= self.limits.end or over
        if self.done:
            assert self.notes > 0
            if not self.limits.may_end and self.limits.end > 10**6:
                assert self.notes == self.limits.notes
