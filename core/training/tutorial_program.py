"""What training and judging the article's network compute; compiled once for all in a process that compute the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from core.kept import Kept
from core.modeling.backend import Tensor, Tree, jit, scan, side_by_side, value_and_gradients
from core.modeling.devices import device_kind
from core.modeling.tutorial import HEADS, SCALE, tutorial_forward
from core.training.loss import LOSS_WEIGHTS, tutorial_losses
from core.training.optimizer import adam

# On a CPU a batch is worked on in two parts at once: products as small as these one core does as fast as two together.
# The number does not follow the machine's cores, since it decides the bits.
_CPU_PARTS = 2
_kept = Kept[Callable[..., Any]](4)


def compiled_tutorial_steps(batch: int, learning_rate: float) -> Callable[..., Any]:
    """Some steps, one after the other, of trainings with this many windows a batch and this rate.

    What comes back takes weights, first and second moments (trees), windows float32 `[steps, batch, window + 1, 3]`
    with the target last, and each step's bias correction `[steps]`; it gives the three trees after the steps, and each
    head's losses `[steps]`.
    """
    return _kept.of((batch, learning_rate), lambda: side_by_side(_Steps(batch, learning_rate).train))


@lru_cache(maxsize=1)
def compiled_tutorial_losses() -> Callable[..., Any]:
    """Each head's loss over windows, whatever the training.

    What comes back takes weights, windows float32 `[rows, window + 1, 3]`, and which rows count, float32 `[rows]`.
    """
    return jit(
        lambda weights, windows, counted: tutorial_losses(
            tutorial_forward(weights, windows[:, :-1] / SCALE), windows[:, -1], counted
        )
    )


class _Steps:
    """The arithmetic of some steps; all but their batch, their rate and their arguments is the article's."""

    def __init__(self, batch: int, learning_rate: float) -> None:
        self._batch = batch
        self._learning_rate = learning_rate
        self._parts = min(_CPU_PARTS, batch) if device_kind() == "cpu" else 1
        self._part_gradients, self._update = jit(self._gradients), jit(self._adam)

    def train(
        self, weights: Tree, first: Tree, second: Tree, windows: Tensor, corrections: Tensor
    ) -> tuple[Tree, Tree]:
        def step(carry: Tree, data: Tree) -> tuple[Tree, Tree]:
            batch, correction = data
            edges = np.linspace(0, batch.shape[0], min(self._parts, batch.shape[0]) + 1).astype(int).tolist()
            parts = [self._part_gradients(carry[0], batch[begin:end]) for begin, end in pairwise(edges)]
            after: tuple[Tree, Tree] = self._update(*carry, correction, parts)
            return after

        return scan(step, (weights, first, second), (windows, corrections))

    def _gradients(self, weights: Tree, batch: Tensor) -> tuple[Tree, Tree]:
        """What some windows of a batch add to its losses and to their gradient."""
        share = batch.shape[0] / self._batch

        def total(weights: Tree) -> tuple[Tensor, Tree]:
            losses = tutorial_losses(tutorial_forward(weights, batch[:, :-1] / SCALE), batch[:, -1])
            losses = {name: share * loss for name, loss in losses.items()}
            return sum(LOSS_WEIGHTS[name] * losses[name] for name in HEADS), losses

        (_, losses), gradients = value_and_gradients(total, weights)
        return losses, gradients

    def _adam(
        self, weights: Tree, first: Tree, second: Tree, correction: Tensor, parts: list[tuple[Tree, Tree]]
    ) -> Tree:
        """The weights and moments after all parts of the batch, and its losses."""
        losses, gradients = keras.tree.map_structure(lambda *each: sum(each[1:], each[0]), *parts)
        return adam(weights, gradients, first, second, self._learning_rate, correction), losses
