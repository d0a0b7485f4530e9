"""How the libraries say that a device's memory is full, and what Cadenza says then."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

from core.errors import CadenzaError, DeviceError

# How a full memory reads: XLA's code, the words of its allocator, the driver's, and TensorFlow's after a copy to the
# device for which there was no room.
_FULL = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory", "OUT_OF_MEMORY", "Dst tensor is not initialized")

WHAT_FREES_MEMORY = "If other jobs use the same device, end them or wait for them, then try this one again"
"""The beginning of what to do: the first thing, since it changes nothing else."""


def out_of_memory_errors() -> tuple[type[Exception], ...]:
    """The classes of what the library raises when the device's memory is full; ask `is_out_of_memory` too."""
    if keras.backend.backend() == "jax":
        import jax

        return (jax.errors.JaxRuntimeError,)
    import tensorflow as tf

    return (tf.errors.ResourceExhaustedError, tf.errors.InternalError)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that the device's memory is full.

    JAX has one class for all that goes wrong on a device. TensorFlow has one of its own for this, but calls what XLA,
    the driver or a copy to the device says an internal error.
    """
    if not isinstance(error, out_of_memory_errors()):
        return False
    return type(error).__name__ == "ResourceExhaustedError" or any(words in str(error) for words in _FULL)


def model_has_no_room(parameters: int) -> DeviceError:
    """For a device that does not hold so many weights, or nothing beside them."""
    return DeviceError(
        f"The device's memory is full: it has no room for this model of {parameters:,} weights. What was stored is "
        f"kept. {WHAT_FREES_MEMORY}; else use a smaller model, or a worker with more memory."
    )


@contextlib.contextmanager
def unless_memory_is_full(sentence: CadenzaError) -> Iterator[None]:
    """Raise `sentence` in place of what the library says of a full memory; every other error passes unchanged."""
    try:
        yield
    except out_of_memory_errors() as error:
        if not is_out_of_memory(error):
            raise
        raise sentence from None
