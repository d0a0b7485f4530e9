"""What the families with a recurrence share: embedding, layers on top of each other, softmax."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree
from core.modeling.layers import product, read_beside
from core.modeling.shapes import parameter_count
from core.training.settings import RecurrentSettings

Settings = TypeVar("Settings", bound=RecurrentSettings)


class RecurrentNetwork(Generic[Settings]):
    """Everything but the recurrence itself.

    The products over windows are computed in `compute_dtype`, everything between them and every step in float32.
    """

    def __init__(self, settings: Settings, compute_dtype: str = "float32") -> None:
        self.settings = settings
        self.parameters = parameter_count(settings)
        self.compute_dtype = compute_dtype

    def initial_state(self, batch: int) -> Tree:
        """Zeros."""
        zeros = np.zeros((batch, self.settings.units), np.float32)
        return tuple(self._layer_state(zeros) for _ in range(self.settings.layers))

    def dropout_masks(self, generator: np.random.Generator, batch: int) -> NDArray[np.float32] | None:
        """float32 `[layers, batch, units]`: 0, or 1 / (1 - dropout).

        One mask holds for all steps of a window (Gal and Ghahramani 2016), after each layer.
        """
        share = self.settings.dropout
        if share == 0:
            return None
        kept = generator.random((self.settings.layers, batch, self.settings.units)) >= share
        return (kept / (1 - share)).astype(np.float32)

    def split_masks(self, masks: NDArray[Any], count: int) -> list[NDArray[Any]]:
        """The masks of `count` equal parts of the batch."""
        return np.split(masks, count, axis=1)

    def sequence(
        self,
        weights: Tree,
        events: Tensor,
        state: Tree | None,
        masks: Tensor | None = None,
        beside: Tensor | None = None,
    ) -> tuple[Tensor, Tree]:
        """Logits of the event after each one; see `Network.sequence`."""
        first = self.initial_state(events.shape[0]) if state is None else state
        flow = ops.take(self._table(weights), ops.transpose(events), axis=0)
        flow = read_beside(flow, None if beside is None else ops.transpose(beside, (1, 0, 2)))
        after = []
        for layer, before in enumerate(first):
            if layer > 0:
                flow = product(flow, self._cast(weights[f"{self._name(layer)}.kernel"]))
                flow = flow + weights[f"{self._name(layer)}.bias"]
            flow, last = self._recur(weights, layer, flow, before)
            after.append(last)
            if masks is not None:
                flow = flow * masks[layer]
        logits = product(flow, self._cast(weights["output.kernel"])) + weights["output.bias"]
        return ops.transpose(logits, (1, 0, 2)), None if state is None else tuple(after)

    def prepare(self, weights: Tree) -> Tree:
        """The weights, with the first layer's input products of all 390 events as a table `[390, gates * units]`."""
        read = {"embedding", f"{self._name(0)}.kernel", f"{self._name(0)}.bias"}
        prepared = {name: weight for name, weight in weights.items() if name not in read}
        return {**prepared, "table": self._table(weights)}

    def step(self, prepared: Tree, event: Tensor, state: Tree, beside: Tensor | None = None) -> tuple[Tensor, Tree]:
        """Logits after one event each; see `Network.step`."""
        inputs = read_beside(ops.take(prepared["table"], event, axis=0), beside)
        after = []
        flow = inputs
        for layer, before in enumerate(state):
            if layer > 0:
                inputs = ops.matmul(flow, prepared[f"{self._name(layer)}.kernel"])
                inputs = inputs + prepared[f"{self._name(layer)}.bias"]
            flow, last = self._recur_once(prepared, layer, inputs, before)
            after.append(last)
        return ops.matmul(flow, prepared["output.kernel"]) + prepared["output.bias"], tuple(after)

    def _layer_state(self, zeros: NDArray[np.float32]) -> Tree:
        """One layer's state before the first event, of zeros `[batch, units]`."""
        raise NotImplementedError

    def _recur(self, weights: Tree, layer: int, inputs: Tensor, before: Tree) -> tuple[Tensor, Tree]:
        """One layer over all steps: its outputs `[time, batch, units]` and its state after them."""
        raise NotImplementedError

    def _recur_once(self, prepared: Tree, layer: int, inputs: Tensor, before: Tree) -> tuple[Tensor, Tree]:
        """One layer's output `[batch, units]` and its state after one step."""
        raise NotImplementedError

    def _name(self, layer: int) -> str:
        return f"{self.settings.family}_{layer}"

    def _cast(self, kernel: Tensor) -> Tensor:
        return ops.cast(kernel, self.compute_dtype)

    def _table(self, weights: Tree) -> Tensor:
        name = self._name(0)
        return ops.matmul(weights["embedding"], weights[f"{name}.kernel"]) + weights[f"{name}.bias"]
