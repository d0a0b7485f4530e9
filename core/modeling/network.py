"""One interface for every family that reads and writes events: windows for training, steps for generation."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree
from core.modeling.conv1d import Conv1dNetwork
from core.modeling.gru import GruNetwork
from core.modeling.lstm import LstmNetwork
from core.modeling.transformer import TransformerNetwork
from core.modeling.wavenet import WavenetNetwork
from core.training.settings import (
    Conv1dSettings,
    FamilySettings,
    GruSettings,
    LstmSettings,
    TransformerSettings,
    WavenetSettings,
)


class Network(Protocol):
    """A pure description: weights and state go in and out, so that any compiler and any loop can run it.

    `state` is a tree of tensors whose shapes never change and whose first axis is the batch.
    """

    @property
    def parameters(self) -> int:
        """How many numbers training adjusts."""

    def initial_state(self, batch: int) -> Tree:
        """The state before the first event."""

    def sequence(
        self, weights: Tree, events: Tensor, state: Tree | None, masks: Tensor | None = None
    ) -> tuple[Tensor, Tree]:
        """Logits of the event after each one.

        Args:
            weights: name to tensor.
            events: int32 `[batch, time]`.
            state: from `initial_state` or an earlier call; None in training, where nothing comes before or after.
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


def build_network(settings: FamilySettings, compute_dtype: str = "float32") -> Network:
    """The network of a family's settings.

    Args:
        settings: of a family over events.
        compute_dtype: number format of the products in training, "float32" or "bfloat16"; steps use float32.

    Raises:
        TypeError: the family has no network over events (`tutorial` has its own module).
    """
    network: Network
    match settings:
        case LstmSettings():
            network = LstmNetwork(settings, compute_dtype)
        case GruSettings():
            network = GruNetwork(settings, compute_dtype)
        case Conv1dSettings():
            network = Conv1dNetwork(settings, compute_dtype)
        case WavenetSettings():
            network = WavenetNetwork(settings, compute_dtype)
        case TransformerSettings():
            network = TransformerNetwork(settings, compute_dtype)
        case _:
            raise TypeError(f"the family {settings.family!r} has no network over events")
    return network
