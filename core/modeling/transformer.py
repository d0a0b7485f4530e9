"""A pre-norm decoder over events: attention with a sliding window, gated feed-forward layers."""

from __future__ import annotations

import numpy as np
from keras import ops

from core.modeling.attention import (
    as_cache,
    attend,
    attend_window,
    cached_in_order,
    continued_mask,
    position_cycle,
    remember,
    rotate,
    rotation_table,
)
from core.modeling.backend import Tensor, Tree
from core.modeling.keyed import KeyedNetwork
from core.modeling.layers import cast_weights, dropped, embed, output_logits, read_beside, rms_norm
from core.modeling.short_convolution import nothing_before, short_convolution
from core.training.settings import TransformerSettings

Heads = tuple[Tensor, Tensor, Tensor]  # queries, keys, values


class TransformerNetwork(KeyedNetwork[TransformerSettings]):
    """The family `transformer` behind the `Network` interface.

    Each layer's attention sees the last `context` events, the present one included, in windows as in steps.

    State: `position`, int32 `[batch]`, of the next event, modulo the positions' cycle; `filled`, int32 `[batch]`, how
    many events the caches hold; `keys` and `values`, for each layer a ring `[batch, heads, context, head]`; with a
    short kernel, `latest`, what the attention and the feed-forward part of each layer read of the last events. Keys are
    kept turned.
    """

    def initial_state(self, batch: int) -> Tree:
        """Zeros."""
        settings = self.settings
        shape = (batch, settings.heads, settings.context, settings.units // settings.heads)
        cache = tuple(np.zeros(shape, np.float32) for _ in range(settings.layers))
        zero = np.zeros(batch, np.int32)
        state: Tree = {"position": zero, "filled": zero, "keys": cache, "values": cache}
        if settings.kernel > 1:
            latest = nothing_before(batch, settings.units, settings.kernel)
            state["latest"] = tuple((latest, latest) for _ in range(settings.layers))
        return state

    def sequence(
        self,
        weights: Tree,
        events: Tensor,
        state: Tree | None,
        masks: Tensor | None = None,
        beside: Tensor | None = None,
    ) -> tuple[Tensor, Tree]:
        """Logits of the event after each one; see `Network.sequence`."""
        settings, time = self.settings, events.shape[1]
        weights = cast_weights(weights, self.compute_dtype)
        flow = read_beside(embed(weights, events, self.compute_dtype), beside)
        flow = dropped(flow, masks, 0, settings.dropout)
        turned = self._turned(events.shape[0], time, state)
        keys, values, latest = [], [], []
        for layer in range(settings.layers):
            past = self._past(state, layer)
            read, attention_past = self._read(weights, f"attention_{layer}", flow, past[0])
            queries, new_keys, new_values = self._heads(weights, layer, read, turned)
            if state is None:
                merged = attend_window(queries, new_keys, new_values, settings.context)
            else:
                all_keys, all_values = (
                    ops.concatenate([ops.cast(cached_in_order(cache[layer], state["position"]), new.dtype), new], 2)
                    for cache, new in ((state["keys"], new_keys), (state["values"], new_values))
                )
                mask = continued_mask(time, settings.context, state["filled"])
                merged = attend(queries, all_keys, all_values, mask)
                position = state["position"] + time
                keys.append(as_cache(ops.cast(all_keys[:, :, time:], "float32"), position))
                values.append(as_cache(ops.cast(all_values[:, :, time:], "float32"), position))
            added = ops.matmul(self._side_by_side(merged), weights[f"attention_{layer}.merge"])
            flow = flow + dropped(added, masks, 2 * layer + 1, settings.dropout)
            read, forward_past = self._read(weights, f"forward_{layer}", flow, past[1])
            flow = flow + dropped(self._forward(weights, layer, read), masks, 2 * layer + 2, settings.dropout)
            latest.append((attention_past, forward_past))
        after = None if state is None else self._after(state, keys, values, latest, time)
        return output_logits(weights, flow), after

    def step(self, prepared: Tree, event: Tensor, state: Tree, beside: Tensor | None = None) -> tuple[Tensor, Tree]:
        """Logits after one event each; see `Network.step`."""
        settings = self.settings
        flow = read_beside(ops.take(prepared["embedding"], event, axis=0), beside)
        flow = flow[:, None]
        turned = self._turned(event.shape[0], 1, state)
        filled = ops.minimum(state["filled"] + 1, settings.context)
        seen = (ops.arange(settings.context, dtype="int32") < filled[:, None])[:, None, None, :]
        keys, values, latest = [], [], []
        for layer in range(settings.layers):
            past = self._past(state, layer)
            read, attention_past = self._read(prepared, f"attention_{layer}", flow, past[0])
            queries, new_key, new_value = self._heads(prepared, layer, read, turned)
            keys.append(remember(state["keys"][layer], state["position"], new_key[:, :, 0]))
            values.append(remember(state["values"][layer], state["position"], new_value[:, :, 0]))
            merged = attend(queries, keys[-1], values[-1], seen)
            flow = flow + ops.matmul(self._side_by_side(merged), prepared[f"attention_{layer}.merge"])
            read, forward_past = self._read(prepared, f"forward_{layer}", flow, past[1])
            flow = flow + self._forward(prepared, layer, read)
            latest.append((attention_past, forward_past))
        return output_logits(prepared, flow[:, 0]), self._after(state, keys, values, latest, 1)

    def _past(self, state: Tree | None, layer: int) -> tuple[Tensor | None, Tensor | None]:
        """What the two parts of a layer read of the events before these, where they remember any."""
        return (None, None) if state is None or self.settings.kernel == 1 else state["latest"][layer]

    def _read(self, weights: Tree, part: str, flow: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What a part of a layer reads, normalised and blended over the short kernel; and what it has to remember."""
        normed = rms_norm(flow, weights[f"{part}.scale"])
        if self.settings.kernel == 1:
            return normed, None
        return short_convolution(normed, weights[f"{part}.blend"], past)

    def _heads(self, weights: Tree, layer: int, read: Tensor, turned: tuple[Tensor, Tensor]) -> Heads:
        """Queries and keys, turned, and values of one layer from one product, `[batch, heads, time, head]` each.

        Of one length each, queries and keys agree by their direction (Henry et al. 2020; as here, with a learned scale
        for each of their numbers, Dehghani et al. 2023), so that scores do not grow with the kernel's weights.
        """
        batch, time, units = read.shape
        heads = self.settings.heads
        parts = ops.reshape(
            ops.matmul(read, weights[f"attention_{layer}.kernel"]), (batch, time, 3, heads, units // heads)
        )
        queries, keys, values = ops.unstack(ops.transpose(parts, (2, 0, 3, 1, 4)), 3, axis=0)
        if self.settings.qk_norm:
            queries = rms_norm(queries, weights[f"attention_{layer}.queries.scale"])
            keys = rms_norm(keys, weights[f"attention_{layer}.keys.scale"])
        return rotate(queries, *turned), rotate(keys, *turned), values

    def _turned(self, batch: int, time: int, state: Tree | None) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the next positions, `[batch or 1, 1, time, head / 2]`."""
        settings = self.settings
        cycle = position_cycle(settings.context)
        tables = rotation_table(settings.context, settings.units // settings.heads)
        steps = np.arange(time, dtype=np.int32)
        if state is None:
            cosines, sines = (table[steps % cycle][None, None] for table in tables)
        else:
            places = (state["position"][:, None] + steps) % cycle
            cosines, sines = (ops.take(table, places, axis=0)[:, None] for table in tables)
        return cosines, sines

    def _forward(self, weights: Tree, layer: int, read: Tensor) -> Tensor:
        """SwiGLU (Shazeer 2020)."""
        kernel = weights[f"forward_{layer}.kernel"]
        if kernel.dtype == "bfloat16":
            # On a GPU the gradient of one product for both would first put their gradients side by side in memory.
            gate, value = (ops.matmul(read, half) for half in ops.split(kernel, 2, axis=-1))
        else:
            gate, value = ops.split(ops.matmul(read, kernel), 2, axis=-1)
        return ops.matmul(ops.silu(gate) * value, weights[f"forward_{layer}.merge"])

    def _after(
        self,
        state: Tree,
        keys: list[Tensor],
        values: list[Tensor],
        latest: list[tuple[Tensor | None, Tensor | None]],
        events: int,
    ) -> Tree:
        context = self.settings.context
        after = {
            "position": (state["position"] + events) % position_cycle(context),
            "filled": ops.minimum(state["filled"] + events, context),
            "keys": tuple(keys),
            "values": tuple(values),
        }
        return {**after, "latest": tuple(latest)} if "latest" in state else after

    @staticmethod
    def _side_by_side(heads: Tensor) -> Tensor:
        """`[batch, heads, time, head]` as `[batch, time, units]`."""
        batch, count, time, head = heads.shape
        return ops.reshape(ops.transpose(heads, (0, 2, 1, 3)), (batch, time, count * head))
