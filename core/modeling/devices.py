"""What this process computes on: the processor, or the GPUs that it sees."""

from __future__ import annotations

import keras


def device_kind() -> str:
    """What the arithmetic runs on: "cpu" or "gpu"."""
    if keras.backend.backend() == "jax":
        import jax

        return "cpu" if jax.default_backend() == "cpu" else "gpu"
    import tensorflow as tf

    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def gpu_count() -> int:
    """How many GPUs this process sees, all of which a training uses; 0 without any."""
    if device_kind() == "cpu":
        return 0
    if keras.backend.backend() == "jax":
        import jax

        return len(jax.devices())
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def device_name() -> str:
    """The device's own name, such as "NVIDIA H100 80GB HBM3"; "CPU" without a GPU."""
    if device_kind() == "cpu":
        return "CPU"
    if keras.backend.backend() == "jax":
        import jax

        return str(jax.devices()[0].device_kind)
    import tensorflow as tf

    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return str(details.get("device_name", "GPU"))


def has_bfloat16() -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware (NVIDIA GPUs from compute capability 8.0)."""
    if device_kind() == "cpu":
        return False
    if keras.backend.backend() == "jax":
        import jax

        capability = str(getattr(jax.devices()[0], "compute_capability", "0"))
        return float(capability) >= 8.0
    import tensorflow as tf

    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return tuple(details.get("compute_capability", (0, 0))) >= (8, 0)
