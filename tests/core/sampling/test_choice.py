"""Drawing by inverse CDF against numpy in double precision, and each seed's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.modeling.backend import jit, to_numpy
from core.sampling.choice import RULED_OUT, choose, truncate
from core.sampling.uniforms import Uniforms

pytestmark = pytest.mark.slow


def _logits(rows: int, seed: int) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    logits = (generator.normal(size=(rows, 390)) * generator.choice([0.1, 1, 8], (rows, 1))).astype(np.float32)
    logits[generator.random((rows, 390)) < generator.choice([0.0, 0.5, 0.99], (rows, 1))] = RULED_OUT
    logits[np.arange(rows), generator.integers(390, size=rows)] = 0.5  # at least one is allowed
    return logits


def test_draws_what_numpy_draws() -> None:
    logits = _logits(4000, 0)
    uniforms = Uniforms(1).take(4000)
    uniforms[:3] = [0, np.float32(1 - 2**-23), 0.5]
    drawn = to_numpy(jit(choose)(logits, uniforms))
    weights = np.where(logits > RULED_OUT, np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True)), 0)
    upto = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
    expected = (upto > uniforms[:, None]).argmax(axis=1)
    rows = np.arange(4000)
    assert (logits[rows, drawn] > RULED_OUT).all()
    # Another event only where the number is as good as on the border of the two.
    other = drawn != expected
    assert other.sum() < 10
    below = upto[rows, drawn] - weights[rows, drawn] / weights.sum(axis=1)
    assert ((below[other] - 1e-6 < uniforms[other]) & (uniforms[other] < upto[rows, drawn][other] + 1e-6)).all()


def test_truncation_keeps_the_likeliest() -> None:
    logits = _logits(300, 1)
    for top_k, top_p in ((5, 1.0), (0, 0.8), (40, 0.5), (1, 1.0), (390, 1.0), (0, 1e-6)):
        kept = to_numpy(jit(truncate)(logits, np.int32(top_k), np.float32(top_p))) > RULED_OUT
        for row, mask in zip(logits.astype(np.float64), kept, strict=True):
            order = np.argsort(-row, kind="stable")
            allowed = int((row > RULED_OUT).sum())
            count = min(top_k or 390, allowed)
            weights = np.exp(row[order[:count]] - row[order[0]])
            before = np.cumsum(weights) - weights
            enough = count if top_p >= 1 else max(1, int((before < top_p * weights.sum()).sum()))
            # Of probabilities that add up to the border, rounding may decide the last ones.
            apart = sorted((int(mask.sum()), enough))
            assert apart[0] == apart[1] or top_p < 1
            assert (weights / weights.sum())[apart[0] : apart[1]].sum() < 1e-5 or apart[1] - apart[0] == 1
            assert mask[order[: mask.sum()]].all()


def test_numbers_depend_on_seed_and_place_alone() -> None:
    at_once = Uniforms(7).take(1000)
    parted = Uniforms(7)
    assert (np.concatenate([parted.take(count) for count in (1, 63, 936)]) == at_once).all()
    assert (Uniforms(8).take(1000) != at_once).mean() > 0.99
    many = np.concatenate([Uniforms(seed).take(200) for seed in range(500)])
    assert many.dtype == np.float32
    assert 0 <= many.min() < many.max() < 1
    assert np.histogram(many, 10, (0, 1))[0] == pytest.approx(10_000, rel=0.05)
    # Neighbouring seeds have nothing to do with each other.
    firsts = np.array([Uniforms(seed).take(1)[0] for seed in range(2000)])
    assert abs(np.corrcoef(firsts[:-1], firsts[1:])[0, 1]) < 0.07
    # Frozen: takes of earlier days must come out again.
    assert Uniforms(12345).take(3).tolist() == [0.6463801860809326, 0.7742675542831421, 0.7864362001419067]
