"""LSTM layers over events: embedding, one or more layers, softmax."""

from __future__ import annotations

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree
from core.modeling.recurrence import lstm_cell, lstm_sequence
from core.modeling.shapes import parameter_count
from core.training.settings import LstmSettings


class LstmNetwork:
    """The family `lstm` behind the `Network` interface.

    State: a tuple with `(h, c)` for each layer, float32 `[batch, units]` each.
    """

    def __init__(self, settings: LstmSettings) -> None:
        self.settings = settings
        self.parameters = parameter_count(settings)

    def initial_state(self, batch: int) -> Tree:
        """Zeros."""
        zeros = np.zeros((batch, self.settings.units), np.float32)
        return tuple((zeros, zeros) for _ in range(self.settings.layers))

    def dropout_masks(self, generator: np.random.Generator, batch: int) -> NDArray[np.float32] | None:
        """float32 `[layers, batch, units]`: 0, or 1 / (1 - dropout).

        One mask holds for all steps of a window (Gal and Ghahramani 2016), after each layer.
        """
        share = self.settings.dropout
        if share == 0:
            return None
        kept = generator.random((self.settings.layers, batch, self.settings.units)) >= share
        return (kept / (1 - share)).astype(np.float32)

    def sequence(self, weights: Tree, events: Tensor, state: Tree, masks: Tensor | None = None) -> tuple[Tensor, Tree]:
        """Logits of the event after each one; see `Network.sequence`."""
        flow = ops.take(self._table(weights), ops.transpose(events), axis=0)
        after = []
        for layer, (first_h, first_c) in enumerate(state):
            if layer > 0:
                flow = ops.matmul(flow, weights[f"lstm_{layer}.kernel"]) + weights[f"lstm_{layer}.bias"]
            flow, h, c = lstm_sequence(flow, first_h, first_c, weights[f"lstm_{layer}.recurrent"])
            after.append((h, c))
            if masks is not None:
                flow = flow * masks[layer]
        logits = ops.matmul(flow, weights["output.kernel"]) + weights["output.bias"]
        return ops.transpose(logits, (1, 0, 2)), tuple(after)

    def prepare(self, weights: Tree) -> Tree:
        """The weights, with the first layer's input products of all 390 events as a table `[390, 4 * units]`."""
        prepared = {
            name: weight
            for name, weight in weights.items()
            if name not in {"embedding", "lstm_0.kernel", "lstm_0.bias"}
        }
        return {**prepared, "table": self._table(weights)}

    def step(self, prepared: Tree, event: Tensor, state: Tree) -> tuple[Tensor, Tree]:
        """Logits after one event each; see `Network.step`."""
        z = ops.take(prepared["table"], event, axis=0)
        after = []
        flow = z
        for layer, (h, memory) in enumerate(state):
            if layer > 0:
                z = ops.matmul(flow, prepared[f"lstm_{layer}.kernel"]) + prepared[f"lstm_{layer}.bias"]
            flow, c = lstm_cell(z + ops.matmul(h, prepared[f"lstm_{layer}.recurrent"]), memory)
            after.append((flow, c))
        return ops.matmul(flow, prepared["output.kernel"]) + prepared["output.bias"], tuple(after)

    @staticmethod
    def _table(weights: Tree) -> Tensor:
        return ops.matmul(weights["embedding"], weights["lstm_0.kernel"]) + weights["lstm_0.bias"]
