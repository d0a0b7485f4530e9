"""Ring buffers: the last few values of each row in memory of a fixed size, so that a step moves nothing but its own."""

from __future__ import annotations

from keras import ops

from core.modeling.backend import Tensor


def read_slots(ring: Tensor, slots: Tensor) -> Tensor:
    """Each row's values at its own slots.

    Args:
        ring: `[rows, length, width]`.
        slots: int32 `[rows, n]`, 0 to length - 1.

    Returns:
        `[rows, n, width]`.
    """
    rows, length, width = ring.shape
    places = slots + ops.arange(rows, dtype="int32")[:, None] * length
    return ops.take(ops.reshape(ring, (rows * length, width)), places, axis=0)


def write_slot(ring: Tensor, slot: Tensor, values: Tensor) -> Tensor:
    """The ring with each row's slot (int32 `[rows]`) replaced by its values `[rows, width]`."""
    places = ops.stack([ops.arange(ring.shape[0], dtype="int32"), slot], axis=1)
    return ops.scatter_update(ring, places, values)


def in_order(ring: Tensor, position: Tensor) -> Tensor:
    """The ring's values `[rows, length, width]`, oldest first, when each row's next value belongs at `position`."""
    length = ring.shape[1]
    return read_slots(ring, (position[:, None] + ops.arange(length, dtype="int32")) % length)


def as_ring(latest: Tensor, position: Tensor) -> Tensor:
    """The inverse of `in_order`: the ring of the latest values, oldest first."""
    length = latest.shape[1]
    return read_slots(latest, (ops.arange(length, dtype="int32") - position[:, None]) % length)
