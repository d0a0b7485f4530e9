"""Dilated causal convolution: over whole windows, and one event at a time with the past in a ring."""

from __future__ import annotations

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree
from core.modeling.ring import as_ring, in_order, read_slots, write_slot


def empty_past(rows: int, width: int, taps: int, dilation: int) -> NDArray[np.float32]:
    """The ring before the first event: float32 zeros `[rows, (taps - 1) * dilation, width]`."""
    return np.zeros((rows, (taps - 1) * dilation, width), np.float32)


def convolve_window(
    flow: Tensor, kernel: Tensor, bias: Tensor, dilation: int, past: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor | None]:
    """The convolution at every event of a window; an event sees itself and those `dilation` apart before it.

    All taps meet the kernel in one product.

    Args:
        flow: `[batch, time, inputs]`.
        kernel: `[taps, inputs, outputs]`, the last tap for the present.
        bias: `[outputs]`.
        dilation: distance between taps.
        past: the ring and each row's next position (int32 `[batch]`) in it; None before the first event.

    Returns:
        `[batch, time, outputs]`, and the ring after the window (None where there was none).
    """
    taps, inputs, outputs = kernel.shape
    time = flow.shape[1]
    length = (taps - 1) * dilation
    if past is None:
        padded = ops.pad(flow, ((0, 0), (length, 0), (0, 0)))
    else:
        padded = ops.concatenate([ops.cast(in_order(*past), flow.dtype), flow], axis=1)
    seen = ops.concatenate([padded[:, tap * dilation : tap * dilation + time] for tap in range(taps)], axis=-1)
    result = ops.matmul(seen, ops.reshape(kernel, (taps * inputs, outputs))) + bias
    if past is None:
        return result, None
    return result, as_ring(ops.cast(padded[:, time:], "float32"), past[1] + time)


def convolve_step(
    values: Tensor, kernel: Tensor, bias: Tensor, dilation: int, past: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tree]:
    """The convolution at one event.

    Args:
        values: `[rows, inputs]`.
        kernel, bias, dilation: as in `convolve_window`.
        past: the ring, and the number of each row's event (int32 `[rows]`).

    Returns:
        `[rows, outputs]`, and the ring with the event in it.
    """
    taps, inputs, outputs = kernel.shape
    ring, position = past
    length = ring.shape[1]
    # The oldest tap lies where the present event goes.
    slots = (position[:, None] + ops.arange(taps - 1, dtype="int32") * dilation) % length
    before = ops.reshape(read_slots(ring, slots), (values.shape[0], (taps - 1) * inputs))
    seen = ops.concatenate([before, values], axis=-1)
    result = ops.matmul(seen, ops.reshape(kernel, (taps * inputs, outputs))) + bias
    return result, write_slot(ring, slots[:, 0], values)
