"""Adam and AdamW as pure functions, so that their state is plain arrays in a resume point."""

from __future__ import annotations

import math

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree

_BETA_1 = 0.9
_BETA_2 = 0.999
_EPSILON = 1e-7


def zero_moments(weights: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """A first or second moment before the first step."""
    return {name: np.zeros_like(array) for name, array in weights.items()}


def bias_correction(step: int) -> float:
    """What the learning rate of step `step` (from 1) is multiplied with (Kingma and Ba 2015, end of section 2)."""
    return math.sqrt(1.0 - _BETA_2**step) / (1.0 - _BETA_1**step)


def adam(
    weights: Tree, gradients: Tree, first: Tree, second: Tree, rate: Tensor, correction: Tensor, decay: float = 0.0
) -> tuple[Tree, Tree, Tree]:
    """One step of Adam in Keras's arithmetic; with `decay` of AdamW (Loshchilov and Hutter 2019).

    Args:
        rate: learning rate, scalar.
        correction: `bias_correction` of this step, scalar.
        decay: share of each matrix that is taken away, times the rate; biases are spared.

    Returns:
        New weights, first and second moments.
    """
    new_weights, new_first, new_second = {}, {}, {}
    for name, weight in weights.items():
        gradient = gradients[name]
        m = first[name] + (gradient - first[name]) * (1.0 - _BETA_1)
        v = second[name] + (ops.square(gradient) - second[name]) * (1.0 - _BETA_2)
        if decay and len(weight.shape) > 1:
            weight = weight - weight * (rate * decay)  # noqa: PLW2901 - the decayed weight takes its place
        new_weights[name] = weight - m * (rate * correction) / (ops.sqrt(v) + _EPSILON)
        new_first[name], new_second[name] = m, v
    return new_weights, new_first, new_second


def averaging_share(step: int, kept: float) -> float:
    """How far the running average moves towards the weights of step `step` (from 0).

    It keeps `kept` of itself at each step, less in the beginning so that the first weights are soon forgotten.
    """
    return 1.0 - min(kept, (step + 1) / (step + 10))


def running_average(average: Tree, weights: Tree, share: Tensor) -> Tree:
    """The average moved towards the weights (Polyak and Juditsky 1992, with exponential forgetting)."""
    return {name: old + (weights[name] - old) * share for name, old in average.items()}


def clip_by_global_norm(gradients: Tree, limit: float) -> tuple[Tree, Tensor]:
    """Scale all gradients so that their common Euclidean norm is at most `limit`; also returns the norm before."""
    # In one order, since a resume point gives the names back sorted, and another order rounds differently.
    norm = ops.sqrt(sum(ops.sum(ops.square(gradients[name])) for name in sorted(gradients)))
    scale = ops.minimum(1.0, limit / (norm + 1e-12))
    return {name: gradient * scale for name, gradient in gradients.items()}, norm


def warmup_cosine(step: int, steps: int, warmup: int, peak: float) -> float:
    """Learning rate of step `step` (from 0): a straight line up to `peak`, then half a cosine down to a tenth."""
    if step < warmup:
        return peak * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return peak * (0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share))))
