"""Trainings that compute the same share what is compiled, and no others do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from core.datasets.corpus import Corpus
from core.modeling.backend import to_device, to_numpy
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.modeling.parallel import OneDevice, training_devices
from core.modeling.shapes import architecture
from core.training.event_program import StepProgram, compiled_step, step_key
from core.training.event_step import EventStep
from core.training.heldout import Evaluator
from core.training.optimizer import zero_moments
from core.training.settings import EventSettings, TutorialSettings
from core.training.tutorial_program import compiled_tutorial_steps
from core.training.windows import EventWindows
from tests.core.training import exchange

pytestmark = pytest.mark.slow

# What decides a step besides the network; whatever is neither must not change what it computes.
_OF_A_STEP = {"dropout", "optimizer", "weight_decay", "clip_norm"}


@pytest.mark.parametrize("family", exchange.FAMILIES)
def test_steps_are_shared_just_when_they_compute_the_same(family: str, make_corpus: Callable[..., Corpus]) -> None:
    settings = exchange.settings_of(family, dropout=0.1)
    changed = {name: settings.model_copy(update={name: _other(settings, name)}) for name in type(settings).model_fields}
    of_the_network = {name for name, each in changed.items() if architecture(each) != architecture(settings)}
    assert "units" in of_the_network
    for name in of_the_network | _OF_A_STEP:
        assert _key(changed[name]) != _key(settings), name
    assert step_key(build_network(settings, "bfloat16"), settings) != _key(settings)

    free = changed.keys() - of_the_network - _OF_A_STEP
    assert {"seed", "steps", "learning_rate", "window", "batch_size", "average"} <= free
    other = settings.model_copy(update={name: getattr(changed[name], name) for name in free})
    assert _key(other) == _key(settings)
    inputs = _inputs(settings, make_corpus())
    for ours, theirs in zip(_computed(settings, *inputs), _computed(other, *inputs), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_is_shared_is_compiled_once() -> None:
    settings = exchange.settings_of("gru", weight_decay=0.125)
    later = settings.model_copy(update={"seed": 7, "learning_rate": 0.5, "steps": 3})
    here = training_devices(settings.batch_size)
    step = compiled_step(build_network(settings), settings, here)
    assert compiled_step(build_network(later), later, training_devices(later.batch_size)) is step
    assert compiled_step(build_network(settings), settings, OneDevice()) is not step  # others' devices are others
    assert Evaluator(settings)._chunk is Evaluator(later)._chunk
    assert Evaluator(settings)._chunk is not Evaluator(exchange.settings_of("gru", units=24))._chunk


def test_the_article_s_steps_are_shared_by_batch_and_rate() -> None:
    steps = compiled_tutorial_steps(4, 0.005)
    assert compiled_tutorial_steps(4, 0.005) is steps
    settings = TutorialSettings(seed=1)
    weights = to_device(initial_weights(settings))
    zeros = to_device(zero_moments(initial_weights(settings)))
    windows = np.random.default_rng(0).random((1, 4, settings.window + 1, 3), np.float32)
    corrections = np.ones(1, np.float32)

    def moved(batch: int, rate: float) -> float:
        (after, _, _), _ = compiled_tutorial_steps(batch, rate)(weights, zeros, zeros, windows[:, :batch], corrections)
        return float(np.abs(to_numpy(after["pitch.bias"]) - to_numpy(weights["pitch.bias"])).max())

    assert moved(4, 0.05) == pytest.approx(10 * moved(4, 0.005), rel=1e-3)
    assert moved(2, 0.005) > 0


def _key(settings: EventSettings) -> Any:
    return step_key(build_network(settings), settings)


def _other(settings: EventSettings, name: str) -> Any:
    """Another value than the settings have; not always one that may be chosen, but one that would show."""
    match getattr(settings, name):
        case bool(value):
            return not value
        case int(value):
            return value * 2 + 2
        case float(value):
            return value / 2 + 0.125
        case "muon":
            return "adamw"
        case value:
            return f"not {value}"


def _inputs(settings: EventSettings, corpus: Corpus) -> tuple[Any, Any]:
    """Weights and a batch with its dropout."""
    step = EventStep(build_network(settings), settings, OneDevice())
    batch = EventWindows(list(corpus.pieces("train")), settings).batch(0)
    return step.begin(initial_weights(settings)), to_device(step._parts(batch, 0)[0])


def _computed(settings: EventSettings, trees: Any, data: Any) -> list[NDArray[np.float32]]:
    """All that a step gives, not compiled."""
    program = StepProgram(build_network(settings), settings)
    loss, gradients = program.gradients(trees, data)
    scalars = {"rate": np.float32(0.01), "correction": np.float32(0.5), "share": np.float32(0.5)}
    after = program.update(trees, gradients, to_device(scalars))
    return [to_numpy(array) for array in keras.tree.flatten([loss, gradients, after])]
