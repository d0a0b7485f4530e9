"""The LSTM family against Keras's own layers, and its two ways of running against each other."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from core.modeling.backend import jit, to_device, to_numpy, value_and_gradients
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.modeling.recurrence import lstm_sequence
from core.training.settings import LstmSettings

pytestmark = pytest.mark.slow


def _weights(settings: LstmSettings) -> dict[str, NDArray[np.float32]]:
    """Fresh weights, made larger so that differences would show (not the recurrent ones: they would be chaotic)."""
    generator = np.random.default_rng(5)
    return {
        name: (array * (1 if "recurrent" in name else 3) + generator.normal(size=array.shape) * 0.02).astype(np.float32)
        for name, array in initial_weights(settings).items()
    }


@pytest.mark.parametrize(("layers", "units"), [(1, 96), (2, 40)])
def test_windows_and_steps_give_the_same_logits(layers: int, units: int) -> None:
    settings = LstmSettings(embedding=24, units=units, layers=layers)
    network = build_network(settings)
    weights = to_device(_weights(settings))
    events = np.random.default_rng(1).integers(0, 390, (3, 600)).astype(np.int32)
    sequence, step = jit(network.sequence), jit(network.step)
    whole, state_after = sequence(weights, events, to_device(network.initial_state(3)))
    prepared, state = network.prepare(weights), to_device(network.initial_state(3))
    stepped = []
    for place in range(600):
        logits, state = step(prepared, events[:, place], state)
        stepped.append(to_numpy(logits))
    assert np.abs(to_numpy(whole) - np.stack(stepped, axis=1)).max() < 1e-4
    for (h, c), (h_stepped, c_stepped) in zip(state_after, state, strict=True):
        assert np.abs(to_numpy(h) - to_numpy(h_stepped)).max() < 1e-4
        assert np.abs(to_numpy(c) - to_numpy(c_stepped)).max() < 1e-4
    # Carried state: three windows in a row are one.
    state = to_device(network.initial_state(3))
    for at in range(0, 600, 200):
        logits, state = sequence(weights, events[:, at : at + 200], state)
        assert np.abs(to_numpy(logits) - to_numpy(whole)[:, at : at + 200]).max() < 1e-4


def test_equals_keras_layers() -> None:
    settings = LstmSettings(embedding=16, units=32, layers=2)
    network, weights = build_network(settings), _weights(settings)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(390, 16),
            keras.layers.LSTM(32, return_sequences=True),
            keras.layers.LSTM(32, return_sequences=True),
            keras.layers.Dense(390),
        ]
    )
    model.set_weights(list(weights.values()))
    assert model.count_params() == network.parameters
    events = np.random.default_rng(2).integers(0, 390, (4, 50)).astype(np.int32)
    logits, _ = jit(network.sequence)(to_device(weights), events, to_device(network.initial_state(4)))
    np.testing.assert_allclose(to_numpy(logits), to_numpy(model(events)), atol=2e-5)


def test_gradient_of_the_recurrence_equals_finite_differences() -> None:
    generator = np.random.default_rng(3)
    shapes = {"inputs": (5, 2, 12), "h": (2, 3), "c": (2, 3), "recurrent": (3, 12)}
    tree = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    mix = [generator.normal(size=shape).astype(np.float32) for shape in ((5, 2, 3), (2, 3), (2, 3))]

    def scalar(tree: dict[str, NDArray[np.float32]]) -> tuple[object, tuple[()]]:
        results = lstm_sequence(tree["inputs"], tree["h"], tree["c"], tree["recurrent"])
        return sum(keras.ops.sum(result * part) for result, part in zip(results, mix, strict=True)), ()

    (_, _), gradients = jit(lambda tree: value_and_gradients(scalar, tree))(to_device(tree))
    for name, shape in shapes.items():
        for _ in range(6):
            place = tuple(int(generator.integers(size)) for size in shape)
            up, down = (_scalar_reference(_moved(tree, name, place, by), mix) for by in (1e-4, -1e-4))
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


def _scalar_reference(tree: dict[str, NDArray[np.float64]], mix: list[NDArray[np.float32]]) -> float:
    """The same scalar in numpy and double precision, step by step."""
    h, c, outputs = tree["h"], tree["c"], []
    for z in tree["inputs"]:
        i, f, g, o = np.split(z + h @ tree["recurrent"], 4, axis=-1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        outputs.append(h)
    return float(sum((result * part).sum() for result, part in zip((np.stack(outputs), h, c), mix, strict=True)))
