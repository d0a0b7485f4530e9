"""The recurrent families against Keras's own layers and against finite differences."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from core.modeling.backend import jit, to_device, to_numpy, value_and_gradients
from core.modeling.gru_recurrence import gru_sequence
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.modeling.recurrence import lstm_sequence
from core.training.settings import GruSettings, LstmSettings

pytestmark = pytest.mark.slow


def _weights(settings: LstmSettings | GruSettings) -> dict[str, NDArray[np.float32]]:
    """Fresh weights, made larger so that differences would show (not the recurrent ones: they would be chaotic)."""
    generator = np.random.default_rng(5)
    return {
        name: (array * (1 if "recurrent" in name else 3) + generator.normal(size=array.shape) * 0.02).astype(np.float32)
        for name, array in initial_weights(settings).items()
    }


@pytest.mark.parametrize(
    ("settings", "layer"),
    [
        (LstmSettings(embedding=16, units=32, layers=2, sounding=False), keras.layers.LSTM),
        (GruSettings(embedding=16, units=32, layers=2, sounding=False), keras.layers.GRU),
    ],
)
def test_equals_keras_layers(settings: LstmSettings | GruSettings, layer: type[keras.layers.Layer]) -> None:
    network, weights = build_network(settings), _weights(settings)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(390, 16),
            layer(32, return_sequences=True),
            layer(32, return_sequences=True),
            keras.layers.Dense(390),
        ]
    )
    # Keras keeps a GRU's two biases in one array.
    arrays = list(weights.values())
    if settings.family == "gru":
        arrays = [
            np.stack([array, weights[f"{name[:-5]}.recurrent_bias"]])
            if name.startswith("gru") and name.endswith(".bias")
            else array
            for name, array in weights.items()
            if not name.endswith("recurrent_bias")
        ]
    model.set_weights(arrays)
    assert model.count_params() == network.parameters
    events = np.random.default_rng(2).integers(0, 390, (4, 50)).astype(np.int32)
    logits, _ = jit(network.sequence)(to_device(weights), events, to_device(network.initial_state(4)))
    np.testing.assert_allclose(to_numpy(logits), to_numpy(model(events)), atol=2e-5)


@pytest.mark.parametrize("cells", ["lstm", "gru"])
def test_gradient_of_the_recurrence_equals_finite_differences(cells: str) -> None:
    generator = np.random.default_rng(3)
    gates = 4 if cells == "lstm" else 3
    shapes = {"inputs": (5, 2, 3 * gates), "h": (2, 3), "recurrent": (3, 3 * gates)}
    shapes |= {"c": (2, 3)} if cells == "lstm" else {"bias": (9,)}
    tree = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    mix = [generator.normal(size=shape).astype(np.float32) for shape in ((5, 2, 3), (2, 3), (2, 3))]

    def scalar(tree: dict[str, NDArray[np.float32]]) -> tuple[object, tuple[()]]:
        if cells == "lstm":
            results = lstm_sequence(tree["inputs"], tree["h"], tree["c"], tree["recurrent"])
        else:
            results = gru_sequence(tree["inputs"], tree["h"], tree["recurrent"], tree["bias"])
        return sum(keras.ops.sum(result * part) for result, part in zip(results, mix, strict=False)), ()

    (_, _), gradients = jit(lambda tree: value_and_gradients(scalar, tree))(to_device(tree))
    reference = _lstm_reference if cells == "lstm" else _gru_reference
    for name, shape in shapes.items():
        for _ in range(6):
            place = tuple(int(generator.integers(size)) for size in shape)
            up, down = (reference(_moved(tree, name, place, by), mix) for by in (1e-4, -1e-4))
            assert to_numpy(gradients[name])[place] == pytest.approx((up - down) / 2e-4, rel=1e-3, abs=1e-4)


def test_dropout_masks_hold_for_a_window_and_keep_the_mean() -> None:
    network = build_network(LstmSettings(units=512, layers=2, dropout=0.25))
    masks = network.dropout_masks(np.random.default_rng(0), 16)
    assert masks is not None
    assert masks.shape == (2, 16, 512)
    assert set(np.unique(masks)) == {np.float32(0), np.float32(1 / 0.75)}
    assert masks.mean() == pytest.approx(1, abs=0.02)
    assert build_network(LstmSettings()).dropout_masks(np.random.default_rng(0), 16) is None


def _moved(
    tree: dict[str, NDArray[np.float32]], name: str, place: tuple[int, ...], by: float
) -> dict[str, NDArray[np.float64]]:
    moved = {key: array.astype(np.float64) for key, array in tree.items()}
    moved[name][place] += by
    return moved


def _lstm_reference(tree: dict[str, NDArray[np.float64]], mix: list[NDArray[np.float32]]) -> float:
    """The same scalar in numpy and double precision, step by step."""
    h, c, outputs = tree["h"], tree["c"], []
    for z in tree["inputs"]:
        i, f, g, o = np.split(z + h @ tree["recurrent"], 4, axis=-1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        outputs.append(h)
    return float(sum((result * part).sum() for result, part in zip((np.stack(outputs), h, c), mix, strict=True)))


def _gru_reference(tree: dict[str, NDArray[np.float64]], mix: list[NDArray[np.float32]]) -> float:
    h, outputs = tree["h"], []
    for x in tree["inputs"]:
        own = h @ tree["recurrent"] + tree["bias"]
        z, r = (1 / (1 + np.exp(-(x[:, part] + own[:, part]))) for part in (slice(0, 3), slice(3, 6)))
        h = z * h + (1 - z) * np.tanh(x[:, 6:] + r * own[:, 6:])
        outputs.append(h)
    return float(sum((result * part).sum() for result, part in zip((np.stack(outputs), h), mix, strict=False)))
