"""WaveNet over events (van den Oord et al. 2016): dilated causal convolutions with gates, residuals and skips."""

from __future__ import annotations

import numpy as np
from keras import ops

from core.modeling.backend import Tensor, Tree
from core.modeling.convolution import convolve_step, convolve_window, empty_past
from core.modeling.keyed import KeyedNetwork
from core.modeling.layers import cast_weights, dropped, embed, output_logits, read_beside
from core.modeling.shapes import WAVENET_KERNEL
from core.training.settings import WavenetSettings


class WavenetNetwork(KeyedNetwork[WavenetSettings]):
    """The family `wavenet` behind the `Network` interface; layer i looks `2 ** (i % cycle)` events back.

    State: `position`, int32 `[batch]`, the place of the next event in the largest ring (smaller ones divide it);
    `past`, one ring for each layer.
    """

    def initial_state(self, batch: int) -> Tree:
        """Zeros."""
        units = self.settings.units
        past = tuple(empty_past(batch, units, WAVENET_KERNEL, dilation) for dilation in self._dilations())
        return {"position": np.zeros(batch, np.int32), "past": past}

    def sequence(
        self,
        weights: Tree,
        events: Tensor,
        state: Tree | None,
        masks: Tensor | None = None,
        beside: Tensor | None = None,
    ) -> tuple[Tensor, Tree]:
        """Logits of the event after each one; see `Network.sequence`."""
        weights = cast_weights(weights, self.compute_dtype)
        flow = read_beside(embed(weights, events, self.compute_dtype), beside)
        rings, skips = [], ops.zeros_like(flow)
        for layer, dilation in enumerate(self._dilations()):
            past = None if state is None else (state["past"][layer], state["position"])
            kernel, bias = weights[f"gates_{layer}.kernel"], weights[f"gates_{layer}.bias"]
            read = dropped(flow, masks, layer, self.settings.dropout)
            gates, ring = convolve_window(read, kernel, bias, dilation, past)
            residual, skip = self._paths(weights, layer, gates)
            flow, skips = flow + residual, skips + skip
            rings.append(ring)
        return self._end(weights, skips), self._after(state, rings, events.shape[1])

    def step(self, prepared: Tree, event: Tensor, state: Tree, beside: Tensor | None = None) -> tuple[Tensor, Tree]:
        """Logits after one event each; see `Network.step`."""
        flow = read_beside(ops.take(prepared["embedding"], event, axis=0), beside)
        rings, skips = [], ops.zeros_like(flow)
        for layer, dilation in enumerate(self._dilations()):
            past = (state["past"][layer], state["position"])
            kernel, bias = prepared[f"gates_{layer}.kernel"], prepared[f"gates_{layer}.bias"]
            gates, ring = convolve_step(flow, kernel, bias, dilation, past)
            residual, skip = self._paths(prepared, layer, gates)
            flow, skips = flow + residual, skips + skip
            rings.append(ring)
        return self._end(prepared, skips), self._after(state, rings, 1)

    def _dilations(self) -> list[int]:
        return [2 ** (layer % self.settings.cycle) for layer in range(self.settings.layers)]

    @staticmethod
    def _paths(weights: Tree, layer: int, gates: Tensor) -> tuple[Tensor, Tensor]:
        """What a layer adds to the next one's input and to the output."""
        shape, gate = ops.split(gates, 2, axis=-1)
        paths = ops.matmul(ops.tanh(shape) * ops.sigmoid(gate), weights[f"paths_{layer}.kernel"])
        residual, skip = ops.split(paths + weights[f"paths_{layer}.bias"], 2, axis=-1)
        return residual, skip

    @staticmethod
    def _end(weights: Tree, skips: Tensor) -> Tensor:
        hidden = ops.matmul(ops.relu(skips), weights["skip.kernel"]) + weights["skip.bias"]
        return output_logits(weights, ops.relu(hidden))

    def _after(self, state: Tree | None, rings: list[Tensor], events: int) -> Tree:
        if state is None:
            return None
        largest = max(self._dilations()) * (WAVENET_KERNEL - 1)
        return {"position": (state["position"] + events) % largest, "past": tuple(rings)}
