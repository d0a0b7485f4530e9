"""LSTM layers over events."""

from __future__ import annotations

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree
from core.modeling.recurrence import lstm_cell, lstm_sequence
from core.modeling.recurrent import RecurrentNetwork
from core.training.settings import LstmSettings


class LstmNetwork(RecurrentNetwork[LstmSettings]):
    """The family `lstm` behind the `Network` interface.

    State: a tuple with `(h, c)` for each layer, float32 `[batch, units]` each.
    """

    def _layer_state(self, zeros: NDArray[np.float32]) -> Tree:
        return zeros, zeros

    def _recur(self, weights: Tree, layer: int, inputs: Tensor, before: Tree) -> tuple[Tensor, Tree]:
        recurrent = self._cast(weights[f"{self._name(layer)}.recurrent"])
        outputs, h, c = lstm_sequence(inputs, before[0], before[1], recurrent)
        return outputs, (h, c)

    def _recur_once(self, prepared: Tree, layer: int, inputs: Tensor, before: Tree) -> tuple[Tensor, Tree]:
        h, memory = before
        h, c = lstm_cell(inputs + ops.matmul(h, prepared[f"{self._name(layer)}.recurrent"]), memory)
        return h, (h, c)
