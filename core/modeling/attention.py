"""Attention over the last events, with rotary positions."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.modeling.backend import Tensor, fused_attention
from core.modeling.ring import as_ring, in_order, write_slot

# Positions count modulo so many windows; the slowest rotation turns once in that time.
_CYCLE = 4
_RULED_OUT = -1e30


def position_cycle(context: int) -> int:
    """Where positions begin again at 0. Every rotation fits a whole number of times, so nothing is seen of it."""
    return _CYCLE * context


@lru_cache(maxsize=8)
def rotation_table(context: int, head: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines and sines of rotary positions (Su et al. 2021), float32 `[position_cycle, head / 2]` each.

    Angles grow geometrically slower from 1 radian an event to one turn in a cycle, each rounded to a whole number of
    turns in a cycle: so positions may count modulo the cycle, and a piece of any length keeps full precision.
    """
    cycle, pairs = position_cycle(context), head // 2
    fastest = cycle / (2 * np.pi)
    turns = np.maximum(1, np.round(fastest ** (1 - np.arange(pairs) / max(1, pairs - 1))))
    angles = 2 * np.pi * ((np.arange(cycle)[:, None] * turns.astype(np.int64)) % cycle) / cycle
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def rotate(values: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn the pairs (i, i + head / 2) of `values` `[..., head]`; tables float32, broadcast to `[..., head / 2]`."""
    half = values.shape[-1] // 2
    wide = ops.cast(values, "float32")  # an angle in bfloat16 would be a hundredth of a turn off
    a, b = wide[..., :half], wide[..., half:]
    return ops.cast(ops.concatenate([a * cosines - b * sines, a * sines + b * cosines], axis=-1), values.dtype)


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017); the softmax is computed in float32.

    Args:
        queries: `[batch, heads, n, head]`; keys, values: `[batch, heads, m, head]`.
        mask: bool, broadcasts to `[batch, heads, n, m]`: which keys each query sees, at least one.

    Returns:
        `[batch, heads, n, head]`.
    """
    scores = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2))) / np.float32(np.sqrt(queries.shape[-1]))
    scores = ops.where(mask, ops.cast(scores, "float32"), _RULED_OUT)
    return ops.matmul(ops.cast(ops.softmax(scores, axis=-1), values.dtype), values)


def window_mask(time: int, context: int) -> NDArray[np.bool_]:
    """bool `[time, time]`: each event sees itself and the `context - 1` before it."""
    distance = np.arange(time)[:, None] - np.arange(time)[None, :]
    seen: NDArray[np.bool_] = (distance >= 0) & (distance < context)
    return seen


def attend_window(queries: Tensor, keys: Tensor, values: Tensor, context: int) -> Tensor:
    """Attention within one window, each event over the last `context`; all `[batch, heads, time, head]`."""
    fused = fused_attention(queries, keys, values, context)
    return attend(queries, keys, values, window_mask(queries.shape[2], context)) if fused is None else fused


def continued_mask(time: int, context: int, filled: Tensor) -> Tensor:
    """The mask of a window whose keys follow `context` cached ones, of which the last `filled` (int32 `[batch]`) are.

    Returns:
        bool `[batch, 1, time, context + time]`.
    """
    place = np.arange(context + time, dtype=np.int32)
    distance = context + np.arange(time, dtype=np.int32)[:, None] - place[None, :]
    seen = (distance >= 0) & (distance < context)
    known = place[None, :] >= context - filled[:, None]
    return seen[None, None] & known[:, None, None, :]


def cached_in_order(cache: Tensor, position: Tensor) -> Tensor:
    """The cache `[batch, heads, context, head]`, oldest first."""
    return _by_head(in_order, cache, position)


def as_cache(latest: Tensor, position: Tensor) -> Tensor:
    """The inverse of `cached_in_order`."""
    return _by_head(as_ring, latest, position)


def remember(cache: Tensor, position: Tensor, values: Tensor) -> Tensor:
    """The cache with `values` `[batch, heads, head]` at each row's position (int32 `[batch]`)."""
    batch, heads, context, head = cache.shape
    rows = ops.reshape(cache, (batch * heads, context, head))
    slots = ops.repeat(position % context, heads)
    written = write_slot(rows, slots, ops.reshape(values, (batch * heads, head)))
    return ops.reshape(written, (batch, heads, context, head))


def _by_head(turned: Callable[[Tensor, Tensor], Tensor], cache: Tensor, position: Tensor) -> Tensor:
    batch, heads, context, head = cache.shape
    rows = turned(ops.reshape(cache, (batch * heads, context, head)), ops.repeat(position, heads))
    return ops.reshape(rows, (batch, heads, context, head))
