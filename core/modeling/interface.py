"""What every network of events offers: windows for training, steps for generation."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree


class Network(Protocol):
    """A pure description: weights and state go in and out, so that any compiler and any loop can run it.

    `state` is a tree of tensors whose shapes never change and whose first axis is the batch.
    """

    @property
    def parameters(self) -> int:
        """How many numbers training adjusts."""

    @property
    def compute_dtype(self) -> str:
        """Number format of the products over windows."""

    def initial_state(self, batch: int) -> Tree:
        """The state before the first event."""

    def sequence(
        self, weights: Tree, events: Tensor, state: Tree | None, masks: Tensor | None = None
    ) -> tuple[Tensor, Tree]:
        """Logits of the event after each one.

        Args:
            weights: name to tensor.
            events: int32 `[batch, time]`.
            state: from `initial_state` or an earlier call; in training what `window_state` gives, since windows are
                read without what comes before or after.
            masks: what `dropout_masks` drew, or None.

        Returns:
            float32 `[batch, time, 390]`, and the state after the last event (None where none was given).
        """

    def dropout_masks(self, generator: np.random.Generator, batch: int) -> NDArray[Any] | None:
        """What `sequence` needs for one training step's dropout, drawn on the host; None when there is no dropout."""

    def split_masks(self, masks: NDArray[Any], count: int) -> list[NDArray[Any]]:
        """What each of `count` devices needs, each with an equal part of the batch."""

    def prepare(self, weights: Tree) -> Tree:
        """What `step` needs of the weights, with everything computed that does not change from step to step."""

    def step(self, prepared: Tree, event: Tensor, state: Tree) -> tuple[Tensor, Tree]:
        """Logits `[batch, 390]` after one event each (int32 `[batch]`), and the state; equals `sequence` to 1e-4."""


class FamilyNetwork(Network, Protocol):
    """One family's network, which can read something beside the events."""

    def sequence(
        self,
        weights: Tree,
        events: Tensor,
        state: Tree | None,
        masks: Tensor | None = None,
        beside: Tensor | None = None,
    ) -> tuple[Tensor, Tree]:
        """As `Network.sequence`; `beside`, float32 `[batch, time, width]`, is added to what stands for each event."""

    def step(self, prepared: Tree, event: Tensor, state: Tree, beside: Tensor | None = None) -> tuple[Tensor, Tree]:
        """As `Network.step`; `beside` is float32 `[batch, width]`."""
