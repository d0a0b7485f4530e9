"""GRU layers over events."""

from __future__ import annotations

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree
from core.modeling.gru_recurrence import gru_cell, gru_sequence
from core.modeling.recurrent import RecurrentNetwork
from core.training.settings import GruSettings


class GruNetwork(RecurrentNetwork[GruSettings]):
    """The family `gru` behind the `Network` interface.

    State: a tuple with `h` for each layer, float32 `[batch, units]`.
    """

    def _layer_state(self, zeros: NDArray[np.float32]) -> Tree:
        return zeros

    def _recur(self, weights: Tree, layer: int, inputs: Tensor, before: Tree) -> tuple[Tensor, Tree]:
        name = self._name(layer)
        recurrent = self._cast(weights[f"{name}.recurrent"])
        outputs, h = gru_sequence(inputs, before, recurrent, weights[f"{name}.recurrent_bias"])
        return outputs, h

    def _recur_once(self, prepared: Tree, layer: int, inputs: Tensor, before: Tree) -> tuple[Tensor, Tree]:
        name = self._name(layer)
        own = ops.matmul(before, prepared[f"{name}.recurrent"]) + prepared[f"{name}.recurrent_bias"]
        h = gru_cell(inputs, own, before)
        return h, h
