"""How this process shares out the cores of its processor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import keras

from core.modeling.devices import device_kind

_POOL_EACH = "TF_OVERRIDE_GLOBAL_THREADPOOL"  # each device of TensorFlow has a pool of threads of its own


def use_one_thread() -> None:
    """Run each operation on one core, if nothing was computed yet in this process; calling it again does no harm.

    For generation: several threads divide a product otherwise than one does and so change its bits, and a block on
    each core (see `on_core`) makes more of the processor than one block on all.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # A device for each core, with a pool of one thread of its own: in a common pool all blocks would take turns.
        os.environ[_POOL_EACH] = "1"
        cores = [tf.config.LogicalDeviceConfiguration()] * available_cores()
        with contextlib.suppress(RuntimeError):  # too late: computing has begun
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], cores)


@contextlib.contextmanager
def on_core(number: int) -> Iterator[None]:
    """Compute on one core of the processor, counted from 0; on a GPU and under JAX this changes nothing."""
    if number == 0 or keras.backend.backend() != "tensorflow" or device_kind() != "cpu":
        yield
        return
    import tensorflow as tf

    cores = len(tf.config.list_logical_devices("CPU"))
    with tf.device(f"CPU:{number % cores}"):
        yield


def cpu_devices() -> list[str]:
    """The names of TensorFlow's CPU devices that may share a training: one, but on a machine made for tests."""
    import tensorflow as tf

    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    return names[:1] if os.environ.get(_POOL_EACH) == "1" else names


def available_cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
