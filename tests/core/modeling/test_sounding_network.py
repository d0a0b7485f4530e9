"""The parts of a network that knows what sounds, against sums done by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops
from numpy.typing import NDArray

from core.encoding.performance import SIZE, TIME_SHIFT
from core.encoding.sounding import AGE_COUNT, AGE_EDGES, no_facts
from core.modeling.backend import jit, to_numpy, value_and_gradients
from core.modeling.conv1d import Conv1dNetwork
from core.modeling.following import window_state
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.modeling.shapes import SOUNDING_UNITS
from core.modeling.sounding_network import by_age
from core.training.settings import Conv1dSettings

pytestmark = pytest.mark.slow


def test_values_by_age_and_their_gradient() -> None:
    generator = np.random.default_rng(2)
    values = generator.normal(size=(2, 3, AGE_COUNT)).astype(np.float32)
    ages = generator.integers(-1, AGE_COUNT, (2, 3, 128)).astype(np.int32)
    weight = generator.normal(size=(2, 3, 128)).astype(np.float32)

    def weighed(tree: Any) -> Any:
        found = by_age(tree["values"], ages)
        return ops.sum(found * weight), found

    (_, found), gradient = jit(lambda tree: value_and_gradients(weighed, tree))({"values": values})
    expected, slope = np.zeros(weight.shape), np.zeros(values.shape)
    for row, time, pitch in zip(*np.nonzero(ages >= 0), strict=True):
        age = ages[row, time, pitch]
        expected[row, time, pitch] = values[row, time, age]
        slope[row, time, age] += weight[row, time, pitch]
    np.testing.assert_array_equal(to_numpy(found), expected.astype(np.float32))
    np.testing.assert_allclose(to_numpy(gradient["values"]), slope, rtol=1e-5, atol=1e-5)


def test_reads_what_sounds_and_for_how_long() -> None:
    settings = Conv1dSettings(units=8, layers=1, kernel=2)
    weights = initial_weights(settings)
    weights["sounding.bias"] += np.float32(0.3)
    assert not weights["beside.kernel"].any()
    weights["beside.kernel"] = np.random.default_rng(4).normal(size=(SOUNDING_UNITS, 8)).astype(np.float32)
    events = np.array([[70, 60, TIME_SHIFT + 99, 64, 128 + 60, TIME_SHIFT + 4, 60, TIME_SHIFT, 128 + 70]], np.int32)
    held = [{70: 0}, {70: 0, 60: 0}, {70: 100, 60: 100}, {70: 100, 60: 100, 64: 0}, {70: 100, 64: 0}]
    held += [{70: 105, 64: 5}, {70: 105, 64: 5, 60: 0}, {70: 106, 64: 6, 60: 1}, {64: 6, 60: 1}]
    beside = np.stack([_beside(weights, ages) for ages in held])[None].astype(np.float32)
    expected, _ = Conv1dNetwork(settings).sequence(weights, events, None, None, beside)
    found, _ = build_network(settings).sequence(weights, events, window_state(no_facts(1)))
    # Pauses and loudness, to whose logits nothing is added.
    np.testing.assert_allclose(to_numpy(found)[..., 256:], to_numpy(expected)[..., 256:390], atol=1e-5)
    plain, _ = Conv1dNetwork(settings).sequence(weights, events, None)
    assert np.abs(to_numpy(plain - expected)).max() > 0.1


def test_how_long_others_have_been_silent_says_nothing_of_a_release() -> None:
    settings = Conv1dSettings(units=8, layers=1, kernel=2)
    weights = initial_weights(settings)
    weights["output.kernel"][:, SIZE:] = 0
    weights["output.bias"][SIZE:] = np.arange(1, 2 * AGE_COUNT + 1)
    # 60 sounds for 3 s, 64 for 10 ms, 70 has been silent for 3 s, 71 for 1 s.
    events = [70, 60, TIME_SHIFT, 128 + 70, TIME_SHIFT + 99, TIME_SHIFT + 98, 71, TIME_SHIFT, 128 + 71]
    events += [TIME_SHIFT + 98, 64, TIME_SHIFT]
    found, _ = build_network(settings).sequence(weights, np.array([events], np.int32), window_state(no_facts(1)))
    without = {**weights, "output.bias": np.where(np.arange(SIZE + 2 * AGE_COUNT) < SIZE, weights["output.bias"], 0)}
    plain, _ = build_network(settings).sequence(without, np.array([events], np.int32), window_state(no_facts(1)))
    added = to_numpy(found - plain)[0, -1]
    ages = {60: 301, 64: 1, 70: 300, 71: 100}
    ons = {pitch: 1 + np.flatnonzero(ticks >= AGE_EDGES)[-1] for pitch, ticks in ages.items()}
    assert {pitch: round(float(added[pitch])) for pitch in ages} == ons
    offs = {60: AGE_COUNT + ons[60], 64: AGE_COUNT + ons[64], 70: 2 * AGE_COUNT, 71: 2 * AGE_COUNT, 0: 2 * AGE_COUNT}
    assert {pitch: round(float(added[128 + pitch])) for pitch in offs} == offs


def _beside(weights: dict[str, NDArray[np.float32]], ages: dict[int, int]) -> NDArray[np.float64]:
    """By hand for one event, after which pitches have sounded for so many ticks."""
    features = np.zeros(256)
    for pitch, ticks in ages.items():
        features[pitch], features[128 + pitch] = 1, np.log(1 + ticks) / np.log(801)
    hidden = features @ weights["sounding.kernel"].astype(np.float64) + weights["sounding.bias"]
    return np.asarray(np.maximum(hidden, 0) @ weights["beside.kernel"])
