"""Draw from logits by inverse CDF, one uniform number per row."""

from __future__ import annotations

import numpy as np
from keras import ops

from core.modeling.backend import Tensor

_BLOCK = 20
RULED_OUT = -1e30


def truncate(logits: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    """Rule out all but the likeliest events.

    Args:
        logits: float32 `[rows, events]`, temperature applied, ruled-out events at -1e30.
        top_k: int32 scalar, events kept; events as likely as the last of them are kept as well. 0 keeps all.
        top_p: float32 scalar: keeps the smallest set of likeliest events that together have this probability
            (Holtzman et al. 2020), counted after top k.
    """
    size = logits.shape[-1]
    descending = ops.flip(ops.sort(logits, axis=-1), axis=-1)
    ranks = ops.arange(size, dtype="int32")
    kept = (top_k <= 0) | (ranks < top_k)
    weights = ops.where(kept & (descending > RULED_OUT), ops.exp(descending - descending[:, :1]), 0.0)
    before = ops.cumsum(weights, axis=-1) - weights
    together = ops.sum(weights, axis=-1, keepdims=True)
    kept = kept & ((top_p >= 1) | (before < top_p * together)) | (ranks == 0)
    least = ops.min(ops.where(kept, descending, float("inf")), axis=-1, keepdims=True)
    return ops.where(logits >= least, logits, RULED_OUT)


def choose(logits: Tensor, uniforms: Tensor) -> Tensor:
    """The first event whose cumulative probability exceeds the row's number.

    Sums run in blocks of 20 events, then within the one block that matters: cheaper than a cumulative sum over all,
    and each row's arithmetic is its own.

    Args:
        logits: float32 `[rows, events]`; -1e30 rules an event out, at least one in each row is not.
        uniforms: float32 `[rows]`, at least 0 and below 1.

    Returns:
        int32 `[rows]`; never an event that is ruled out.
    """
    rows, size = logits.shape
    blocks = -(-size // _BLOCK)
    weights = ops.where(logits > RULED_OUT, ops.exp(logits - ops.max(logits, axis=-1, keepdims=True)), 0.0)
    weights = ops.reshape(ops.pad(weights, ((0, 0), (0, blocks * _BLOCK - size))), (rows, blocks, _BLOCK))
    sums = ops.sum(weights, axis=-1)
    upto = _running_sum(sums)
    wanted = uniforms * upto[:, -1]
    block = _first((upto > wanted[:, None]) & (sums > 0), sums > 0)
    chosen = ops.arange(blocks, dtype="int32") == block[:, None]
    inside = ops.sum(ops.where(chosen[..., None], weights, 0.0), axis=1)
    before = ops.sum(ops.where(chosen, upto - sums, 0.0), axis=1)
    reached = _running_sum(inside) + before[:, None] > wanted[:, None]
    return block * _BLOCK + _first(reached & (inside > 0), inside > 0)


def _running_sum(values: Tensor) -> Tensor:
    """Cumulative sum over the last axis of a short one."""
    size = values.shape[-1]
    lower = np.tril(np.ones((size, size), bool))
    return ops.sum(ops.where(lower, values[:, None, :], 0.0), axis=-1)


def _first(condition: Tensor, otherwise: Tensor) -> Tensor:
    """Index of the first true column of each row; where rounding left none, the last true one of `otherwise`."""
    size = condition.shape[-1]
    columns = ops.arange(size, dtype="int32")
    first = ops.min(ops.where(condition, columns, size), axis=-1)
    last = ops.max(ops.where(otherwise, columns, 0), axis=-1)
    return ops.where(first < size, first, last)
