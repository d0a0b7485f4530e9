"""What the transformer's short kernel and its normalised attention do to its predictions, and what they leave alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.modeling.backend import to_device, to_numpy
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.training.settings import TransformerSettings

pytestmark = pytest.mark.slow

_UNITS = 32


def _settings(**values: Any) -> TransformerSettings:
    return TransformerSettings.parse({"units": _UNITS, "layers": 2, "heads": 2, "context": 40, **values})


def _logits(settings: TransformerSettings, weights: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    events = np.random.default_rng(3).integers(0, 390, (2, 60)).astype(np.int32)
    return to_numpy(build_network(settings).sequence(to_device(weights), events, None)[0])


def _longer(weights: dict[str, NDArray[np.float32]], factor: float) -> dict[str, NDArray[np.float32]]:
    """With queries and keys that many times as long; values stay."""
    factors = np.repeat([factor, factor, 1.0], _UNITS).astype(np.float32)
    return {
        name: array * factors if name.startswith("attention") and name.endswith(".kernel") else array
        for name, array in weights.items()
    }


def test_normalised_queries_and_keys_count_by_their_direction() -> None:
    settings = _settings()
    weights = initial_weights(settings)
    plain = _logits(settings, weights)
    np.testing.assert_allclose(_logits(settings, _longer(weights, 3.0)), plain, atol=2e-4)
    # Their scales make attention sharper or flatter.
    sharper = {name: 3 * array if name.endswith("queries.scale") else array for name, array in weights.items()}
    assert np.abs(_logits(settings, sharper) - plain).max() > 1e-2

    settings = _settings(qk_norm=False)
    weights = initial_weights(settings)
    assert not any("queries" in name or "keys" in name for name in weights)
    assert np.abs(_logits(settings, _longer(weights, 3.0)) - _logits(settings, weights)).max() > 1e-2


def test_it_begins_as_the_network_without_a_short_kernel() -> None:
    weights = initial_weights(_settings())
    without = {name: array for name, array in weights.items() if not name.endswith(".blend")}
    bare = initial_weights(_settings(kernel=1))
    assert without.keys() == bare.keys()
    for name, array in bare.items():
        np.testing.assert_array_equal(without[name], array, err_msg=name)
    plain = _logits(_settings(kernel=1), bare)
    np.testing.assert_array_equal(_logits(_settings(), weights), plain)
    # Each of the four blends matters once it is learned.
    for blend in weights.keys() - bare.keys():
        learned = {**weights, blend: weights[blend] + np.float32(0.5)}
        assert np.abs(_logits(_settings(), learned) - plain).max() > 1e-2, blend
