"""What the figures were measured on, and what its arithmetic can do at best."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

_SIZE = 2048
_REPEATS = 5


def describe_machine() -> str:
    """Cores that this process may use, the processor's name and the system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{cores} cores, {processor}, {platform.system()}, Python {platform.python_version()}"


def matrix_flops() -> float:
    """Floating-point operations per second in float32 products of 2,048 × 2,048 matrices, the best of five.

    TensorFlow's own product, since what is measured against it uses that too; a product of two n × n matrices counts
    2 n³ operations.
    """
    import tensorflow as tf

    a = tf.random.normal((_SIZE, _SIZE))
    tf.matmul(a, a).numpy()
    best = 0.0
    for _ in range(_REPEATS):
        started = time.perf_counter()
        tf.matmul(a, a).numpy()
        best = max(best, 2 * _SIZE**3 / (time.perf_counter() - started))
    return best
