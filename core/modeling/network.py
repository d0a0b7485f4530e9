"""One interface for every family that reads and writes events: windows for training, steps for generation."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree
from core.modeling.lstm import LstmNetwork
from core.training.settings import FamilySettings, LstmSettings


class Network(Protocol):
    """A pure description: weights and state go in and out, so that any compiler and any loop can run it.

    `state` is a tree of tensors whose shapes never change and whose first axis is the batch.
    """

    @property
    def parameters(self) -> int:
        """How many numbers training adjusts."""

    def initial_state(self, batch: int) -> Tree:
        """The state before the first event."""

    def sequence(self, weights: Tree, events: Tensor, state: Tree, masks: Tensor | None = None) -> tuple[Tensor, Tree]:
        """Logits of the event after each one.

        Args:
            weights: name to tensor.
            events: int32 `[batch, time]`.
            state: from `initial_state` or an earlier call.
            masks: dropout masks as `dropout_masks` draws them, or None.

        Returns:
            float32 `[batch, time, 390]` and the state after the last event.
        """

    def dropout_masks(self, generator: np.random.Generator, batch: int) -> NDArray[np.float32] | None:
        """Masks for one training step, drawn on the host; None when the settings ask for no dropout."""

    def prepare(self, weights: Tree) -> Tree:
        """What `step` needs of the weights, with everything computed that does not change from step to step."""

    def step(self, prepared: Tree, event: Tensor, state: Tree) -> tuple[Tensor, Tree]:
        """Logits `[batch, 390]` after one event each (int32 `[batch]`), and the state; equals `sequence` to 1e-4."""


def build_network(settings: FamilySettings) -> Network:
    """The network of a family's settings.

    Raises:
        TypeError: the family has no network over events (`tutorial` has its own module).
    """
    if isinstance(settings, LstmSettings):
        return LstmNetwork(settings)
    raise TypeError(f"the family {settings.family!r} has no network over events")
