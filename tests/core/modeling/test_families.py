"""Every family over events: windows and steps agree, and what is carried is of fixed shape."""

from __future__ import annotations

from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from core.encoding.performance import encode
from core.encoding.sounding import no_facts
from core.modeling.backend import jit, scan, to_device, to_numpy
from core.modeling.checkpoints import Checkpoint
from core.modeling.following import window_state
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.modeling.shapes import parameter_count, weight_shapes
from core.music.notes import Notes
from core.ready.shipped import ready_checkpoint
from core.training.settings import FAMILIES, EventSettings, parse_training_settings

pytestmark = pytest.mark.slow

# Reaches and contexts far shorter than 600 events, and of sizes that do not divide each other.
_SMALL: dict[str, dict[str, Any]] = {
    "lstm": {"embedding": 24, "units": 40, "layers": 2},
    "gru": {"embedding": 24, "units": 40, "layers": 2},
    "conv1d": {"units": 40, "layers": 3, "kernel": 6},
    "wavenet": {"units": 40, "layers": 7, "cycle": 5},
    "transformer": {"units": 32, "layers": 2, "heads": 2, "context": 100},
}
_STEPS = 40


class _Compiled:
    """A network with its weights and its compiled functions."""

    def __init__(self, settings: EventSettings, weights: dict[str, NDArray[np.float32]]) -> None:
        self.network = build_network(settings)
        self.weights = to_device(weights)
        self.sequence = jit(self.network.sequence)
        self.trained = jit(
            lambda weights, events, facts: self.network.sequence(weights, events, window_state(facts))[0]
        )
        self._steps = jit(self._many_steps)

    def stepped(self, events: NDArray[np.int32], state: Any) -> tuple[NDArray[Any], Any]:
        """Logits `[rows, time, 390]` one event at a time, and the last state; in a compiled loop, as in composing."""
        parts = []
        for at in range(0, events.shape[1], _STEPS):
            state, logits = self._steps(state, np.ascontiguousarray(events[:, at : at + _STEPS].T))
            parts.append(np.swapaxes(to_numpy(logits), 0, 1))
        return np.concatenate(parts, axis=1), state

    def _many_steps(self, state: Any, events: Any) -> tuple[Any, Any]:
        def one(state: Any, event: Any) -> tuple[Any, Any]:
            logits, state = self.network.step(self.network.prepare(self.weights), event, state)
            return state, logits

        return scan(one, state, events)


def _music(seed: int) -> NDArray[np.int32]:
    generator = np.random.default_rng(seed)
    onsets = np.cumsum(generator.choice([0.0, 0.1, 1.7], 200))
    ends, pitches = generator.choice([0.1, 0.5, 3.0], 200), generator.integers(40, 90, 200)
    return encode(Notes.of(onsets, ends, pitches, generator.choice([40, 80], 200))).astype(np.int32)


@cache
def _compiled(family: str, *, sounding: bool) -> _Compiled:
    """A family's small network with weights that all matter."""
    settings = parse_training_settings(family, {**_SMALL[family], "sounding": sounding})
    generator = np.random.default_rng(5)
    weights = {
        name: (
            array + generator.normal(size=array.shape) * (0.3 if {"output", "sounding"} & {*name.split(".")} else 0.05)
        ).astype(np.float32)
        for name, array in initial_weights(settings).items()
    }
    return _Compiled(settings, weights)


@pytest.mark.parametrize("family", _SMALL)
def test_windows_and_steps_give_the_same_logits(family: str) -> None:
    compiled = _compiled(family, sounding=True)
    # Half of it real music: its chords and pauses; the other half anything at all.
    generator = np.random.default_rng(1)
    events = generator.integers(0, 390, (3, 600)).astype(np.int32)
    events[:, :300] = [_music(seed)[:300] for seed in range(3)]
    first = to_device(compiled.network.initial_state(3))
    whole, after_window = compiled.sequence(compiled.weights, events, first)
    whole = to_numpy(whole)
    stepped, after_steps = compiled.stepped(events, first)
    assert np.abs(whole - stepped).max() < 1e-4
    possible = whole > -500
    assert whole[possible].std() > 0.3
    assert 0.2 < possible.mean() < 0.9
    # Training reads the same, but for what cannot follow.
    trained = compiled.trained(compiled.weights, events, no_facts(3))
    assert np.abs(to_numpy(trained) - whole)[possible].max() < 1e-4
    assert to_numpy(trained).min() > -500
    # Windows one after the other are one; and steps go on from windows.
    state = first
    for begin in (0, 280):
        logits, state = compiled.sequence(compiled.weights, events[:, begin : begin + 280], state)
        assert np.abs(to_numpy(logits) - whole[:, begin : begin + 280]).max() < 1e-4
    stepped, after_both = compiled.stepped(events[:, 560:], state)
    assert np.abs(stepped - whole[:, 560:]).max() < 1e-4
    for after in (after_both, after_window):
        for ours, theirs in zip(keras.tree.flatten(after), keras.tree.flatten(after_steps), strict=True):
            assert np.abs(to_numpy(ours) - to_numpy(theirs)).max() < 1e-4


@pytest.mark.parametrize("name", [*_SMALL, "the model that comes along"])
def test_so_they_do_in_the_sizes_that_people_train(name: str) -> None:
    if name in _SMALL:
        settings = parse_training_settings(name, {}, "Starter")
        weights = initial_weights(settings)
        weights["beside.kernel"] = np.random.default_rng(3).normal(0, 0.1, weights["beside.kernel"].shape)
        weights = {key: array.astype(np.float32) for key, array in weights.items()}
    else:
        ready = Checkpoint.from_bytes(ready_checkpoint())
        settings, weights = ready.family_settings, ready.weights
    assert isinstance(settings, EventSettings)
    compiled = _Compiled(settings, weights)
    events = np.stack([_music(seed)[:600] for seed in range(2)])
    first = to_device(compiled.network.initial_state(2))
    whole = to_numpy(compiled.sequence(compiled.weights, events, first)[0])
    stepped, _ = compiled.stepped(events, first)
    assert whole.shape == (2, 600, 390)
    assert np.abs(whole - stepped).max() < 1e-4


@pytest.mark.parametrize("family", _SMALL)
def test_state_keeps_its_shapes_and_rows_are_apart(family: str) -> None:
    compiled = _compiled(family, sounding=True)
    events = np.random.default_rng(1).integers(0, 390, (3, 120)).astype(np.int32)
    first = compiled.network.initial_state(3)
    late, after = compiled.stepped(events, to_device(first))
    for before, now in zip(keras.tree.flatten(first), keras.tree.flatten(after), strict=True):
        assert (before.shape, before.dtype, before.shape[0]) == (tuple(now.shape), to_numpy(now).dtype, 3)
    # A row that begins anew beside others that go on, as a block of takes does.
    early, after = compiled.stepped(events[:, :80], to_device(first))
    mixed = keras.tree.map_structure(lambda a, b: np.concatenate([np.asarray(a)[:1], to_numpy(b)[1:]]), first, after)
    logits, _ = compiled.stepped(np.concatenate([events[:1, :40], events[1:, 80:]]), mixed)
    np.testing.assert_array_equal(logits[0], early[0, :40])
    np.testing.assert_array_equal(logits[1:], late[1:, 80:])


@pytest.mark.parametrize(
    ("family", "reach"), [("conv1d", 3 * 5), ("wavenet", 1 + 2 + 4 + 8 + 16 + 1 + 2), ("transformer", 2 * (99 + 3 + 3))]
)
def test_an_event_beyond_the_reach_does_nothing(family: str, reach: int) -> None:
    compiled = _compiled(family, sounding=False)  # what sounds is known for ever
    events = np.random.default_rng(1).integers(0, 390, (3, 600)).astype(np.int32)
    other = events.copy()
    other[:, 50] = (events[:, 50] + 100) % 390
    ours, theirs = (to_numpy(compiled.sequence(compiled.weights, each, None)[0]) for each in (events, other))
    differing = np.flatnonzero(np.abs(ours - theirs).max(axis=(0, 2)) > 0)
    assert differing[0] == 50
    assert differing[-1] <= 50 + reach
    # What attention sees there may be too little to show.
    assert family == "transformer" or differing[-1] == 50 + reach


@pytest.mark.parametrize(("family", "cls"), [(name, cls) for name, cls in FAMILIES.items() if name != "tutorial"])
def test_presets_grow(family: str, cls: type[EventSettings]) -> None:
    sizes = [
        parameter_count(parse_training_settings(family, {}, preset)) for preset in ("Starter", "Standard", "Large")
    ]
    assert sizes[0] < sizes[1] / 2 < sizes[2] / 4
    assert sizes[0] < 1e6
    small = parse_training_settings(family, _SMALL[family])
    weights = initial_weights(small)
    assert {name: array.shape for name, array in weights.items()} == weight_shapes(small)
    assert all((initial_weights(small)[name] == array).all() for name, array in weights.items())
