"""Causal convolutions over events, each added to what it read."""

from __future__ import annotations

import numpy as np
from keras import ops

from core.modeling.backend import Tensor, Tree
from core.modeling.convolution import convolve_step, convolve_window, empty_past
from core.modeling.keyed import KeyedNetwork
from core.modeling.layers import cast_weights, dropped, embed, output_logits, read_beside, rms_norm
from core.training.settings import Conv1dSettings


class Conv1dNetwork(KeyedNetwork[Conv1dSettings]):
    """The family `conv1d` behind the `Network` interface: x + GELU(convolution(norm(x))), layer on layer.

    State: `position`, int32 `[batch]`, the place of the next event in the rings; `past`, one ring for each layer.
    """

    def initial_state(self, batch: int) -> Tree:
        """Zeros."""
        settings = self.settings
        past = tuple(empty_past(batch, settings.units, settings.kernel, 1) for _ in range(settings.layers))
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
        rings = []
        for layer in range(self.settings.layers):
            name = f"conv_{layer}"
            past = None if state is None else (state["past"][layer], state["position"])
            normed = rms_norm(flow, weights[f"{name}.scale"])
            added, ring = convolve_window(normed, weights[f"{name}.kernel"], weights[f"{name}.bias"], 1, past)
            flow = flow + dropped(ops.gelu(added), masks, layer, self.settings.dropout)
            rings.append(ring)
        return output_logits(weights, flow), self._after(state, rings, events.shape[1])

    def step(self, prepared: Tree, event: Tensor, state: Tree, beside: Tensor | None = None) -> tuple[Tensor, Tree]:
        """Logits after one event each; see `Network.step`."""
        flow = read_beside(ops.take(prepared["embedding"], event, axis=0), beside)
        rings = []
        for layer in range(self.settings.layers):
            name = f"conv_{layer}"
            past = (state["past"][layer], state["position"])
            normed = rms_norm(flow, prepared[f"{name}.scale"])
            added, ring = convolve_step(normed, prepared[f"{name}.kernel"], prepared[f"{name}.bias"], 1, past)
            flow = flow + ops.gelu(added)
            rings.append(ring)
        return output_logits(prepared, flow), self._after(state, rings, 1)

    def _after(self, state: Tree | None, rings: list[Tensor], events: int) -> Tree:
        if state is None:
            return None
        return {"position": (state["position"] + events) % (self.settings.kernel - 1), "past": tuple(rings)}
