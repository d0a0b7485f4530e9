"""Compiling in haste: for processes whose networks take longer to compile than to run."""

from __future__ import annotations

import os

# XLA makes plain code then, in about half the time; it is slower to run, so that hundreds of steps lose what was won.
# It is never set in the process of the tests themselves: what they say of networks, steps and takes there, they say of
# the code that people run.
HASTY_FLAGS = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"


def hasty_environment(**more: str) -> dict[str, str]:
    """This process's environment for one that compiles in haste, under either library."""
    return {**os.environ, "XLA_FLAGS": HASTY_FLAGS, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", **more}
