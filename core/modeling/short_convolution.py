"""A convolution of each value with its own last few, over whole windows and event by event."""

from __future__ import annotations

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.modeling.backend import Tensor


def nothing_before(rows: int, width: int, taps: int) -> NDArray[np.float32]:
    """What came before the first event: float32 zeros `[rows, taps - 1, width]`."""
    return np.zeros((rows, taps - 1, width), np.float32)


def short_convolution(flow: Tensor, kernel: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Add to every value what the kernel makes of the same value at this event and those just before.

    So a layer sees figures of a few events (a chord, a turn of a melody) without a layer below that puts these
    together, and attention can look for what followed an event. So et al. (2021) have it behind queries, keys and
    values, Allen-Zhu (2025) before each part of a layer as well. With a kernel of zeros nothing is added.

    Args:
        flow: `[batch, time, width]`.
        kernel: float32 `[taps, width]`, the last tap for the present.
        before: float32 `[batch, taps - 1, width]`, the events before the window, oldest first; None before the first.

    Returns:
        As `flow`; and the last `taps - 1` events after it (None where none were given).
    """
    taps, time = kernel.shape[0], flow.shape[1]
    if before is None:
        padded = ops.pad(flow, ((0, 0), (taps - 1, 0), (0, 0)))
    else:
        padded = ops.concatenate([ops.cast(before, flow.dtype), flow], axis=1)
    added = sum(ops.cast(padded[:, tap : tap + time], "float32") * kernel[tap] for tap in range(taps))
    blended = flow + ops.cast(added, flow.dtype)
    return blended, None if before is None else ops.cast(padded[:, time:], "float32")
