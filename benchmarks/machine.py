"""What the figures were measured on, and what its arithmetic can do at best."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
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


class OthersWatch:
    """How much of the machine processes other than ours and our children's use, from now on; Linux only."""

    def __init__(self) -> None:
        self._started, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    def share(self) -> float | None:
        """0 to 1, of all cores since the watch began; None where it cannot be known.

        Children that still run, or that nobody waited for, count as others.
        """
        if self._busy is None:
            return None
        others = (_busy_seconds() or 0.0) - self._busy - (_own_seconds() - self._own)
        return max(0.0, others / ((time.monotonic() - self._started) * (os.cpu_count() or 1)))


def _busy_seconds() -> float | None:
    """Seconds of all cores that were neither idle nor waiting for a disk, since the machine started (proc(5))."""
    path = Path("/proc/stat")
    if not path.exists():
        return None
    ticks = [int(field) for field in path.read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def matrix_flops() -> float:
    """Floating-point operations a second in float32 products of 2,048 × 2,048 matrices on all cores, the best of five.

    TensorFlow's own product, since what is measured against it uses that too; a product of two n × n matrices counts
    2 n³ operations. In a process of its own, since the one that asks may have set its cores apart.
    """
    command = [sys.executable, "-c", "from benchmarks.machine import _matrix_flops; print(_matrix_flops())"]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(ended.stdout.splitlines()[-1])


def _matrix_flops() -> float:
    import tensorflow as tf

    a = tf.random.normal((_SIZE, _SIZE))
    tf.matmul(a, a).numpy()
    best = 0.0
    for _ in range(_REPEATS):
        started = time.perf_counter()
        tf.matmul(a, a).numpy()
        best = max(best, 2 * _SIZE**3 / (time.perf_counter() - started))
    return best
