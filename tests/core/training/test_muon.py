"""Muon against Keras's, against singular values, and what lies side by side against the same matrices alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from core.modeling.backend import to_numpy
from core.modeling.shapes import hidden_matrices, weight_shapes
from core.training.muon import muon, orthogonalised
from core.training.settings import FAMILIES, EventSettings, TransformerSettings

pytestmark = pytest.mark.slow

Arrays = dict[str, NDArray[np.float32]]


def _step(weights: Arrays, gradients: Arrays, momenta: Arrays, matrices: dict[str, int]) -> tuple[Arrays, Arrays]:
    after = muon(weights, gradients, momenta, matrices, np.float32(0.02), 0.1, "float32")
    return tuple({name: to_numpy(array) for name, array in tree.items()} for tree in after)


def _draw(generator: np.random.Generator, **shapes: tuple[int, ...]) -> Arrays:
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_muon_is_keras_muon() -> None:
    generator = np.random.default_rng(0)
    shapes = {"wide": (6, 17), "tall": (11, 4), "square": (8, 8), "another": (8, 8)}
    ours = _draw(generator, **shapes)
    momenta = {name: np.zeros_like(array) for name, array in ours.items()}
    variables = [keras.Variable(array, name=name) for name, array in ours.items()]
    theirs = keras.optimizers.Muon(0.02, weight_decay=0.1)
    theirs.build(variables)
    for _ in range(4):
        gradients = _draw(generator, **shapes)
        ours, momenta = _step(ours, gradients, momenta, dict.fromkeys(ours, 1))
        theirs.apply(list(gradients.values()), variables)
    for variable, array in zip(variables, ours.values(), strict=True):
        np.testing.assert_allclose(array, to_numpy(variable + 0.0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 40), (40, 5), (16, 16)])
def test_directions_stay_and_lengths_become_equal(shape: tuple[int, int]) -> None:
    matrices = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
    matrices[:, :, 0] *= 30  # without this, lengths of wide matrices are near each other from the start
    left, lengths, right = np.linalg.svd(matrices, full_matrices=False)
    assert (lengths.max(1) / lengths.min(1) > 5).all()
    found = to_numpy(orthogonalised(matrices))
    # In the matrix's own singular vectors the result is diagonal, and all but tiny lengths are about 1.
    turned = np.swapaxes(left, 1, 2) @ found @ np.swapaxes(right, 1, 2)
    diagonal = np.diagonal(turned, axis1=1, axis2=2)
    np.testing.assert_allclose(turned, diagonal[:, None, :] * np.eye(diagonal.shape[1]), atol=1e-3)
    clear = lengths > 0.003 * np.sqrt((lengths**2).sum(1, keepdims=True))
    assert clear.mean() > 0.8
    assert ((diagonal > 0.66) & (diagonal < 1.22))[clear].all()
    rough = to_numpy(orthogonalised(matrices, "bfloat16"))
    assert np.abs(rough - found).max() < 0.1


def test_what_lies_side_by_side_or_has_taps_is_worked_on_as_matrices() -> None:
    generator = np.random.default_rng(2)
    shapes = {"gates": (6, 12), "taps": (3, 4, 5)}
    weights, gradients, momenta = (_draw(generator, **shapes) for _ in range(3))
    whole = _step(weights, gradients, momenta, {"gates": 3, "taps": 1})
    parts = {f"gates{n}": (slice(None), slice(4 * n, 4 * n + 4)) for n in range(3)}
    for tree, alone in zip(whole, _alone(weights, gradients, momenta, parts), strict=True):
        np.testing.assert_allclose(tree["gates"], np.concatenate([alone[name] for name in parts], 1), rtol=1e-5)
        np.testing.assert_allclose(tree["taps"].reshape(12, 5), alone["taps"], rtol=1e-5)


def _alone(weights: Arrays, gradients: Arrays, momenta: Arrays, parts: dict[str, tuple[slice, slice]]) -> object:
    trees = [
        {"taps": tree["taps"].reshape(12, 5)} | {name: tree["gates"][place] for name, place in parts.items()}
        for tree in (weights, gradients, momenta)
    ]
    return _step(*trees, dict.fromkeys(trees[0], 1))


@pytest.mark.parametrize("family", [name for name, cls in FAMILIES.items() if issubclass(cls, EventSettings)])
def test_every_matrix_between_layers_is_found_and_divides_evenly(family: str) -> None:
    settings = FAMILIES[family]()
    assert isinstance(settings, EventSettings)
    shapes, matrices = weight_shapes(settings), hidden_matrices(settings)
    others = {name for name, shape in shapes.items() if len(shape) > 1} - set(matrices)
    blends = {name for name in others if name.endswith(".blend")}
    assert len(blends) == (2 * settings.layers if isinstance(settings, TransformerSettings) else 0)
    assert others - blends == {"embedding", "output.kernel", "sounding.kernel", "beside.kernel"}
    # The parts of a weight are as high as the layer is wide, but for inputs of another width.
    for name, count in matrices.items():
        assert shapes[name][-1] % count == 0
    counts = {name.rpartition("_")[0] + "." + name.rpartition(".")[2]: count for name, count in matrices.items()}
    assert (
        counts
        == {
            "lstm": {"lstm.kernel": 4, "lstm.recurrent": 4},
            "gru": {"gru.kernel": 3, "gru.recurrent": 3},
            "conv1d": {"conv.kernel": 1},
            "wavenet": {"gates.kernel": 2, "paths.kernel": 2, ".kernel": 1},
            "transformer": {"attention.kernel": 3, "attention.merge": 1, "forward.kernel": 2, "forward.merge": 1},
        }[family]
    )
