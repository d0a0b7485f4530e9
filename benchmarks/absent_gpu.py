"""`python -m benchmarks.absent_gpu`: what a training step needs of an H100, on a machine that has none.

    pip install 'jax[cuda12]'       # beside Keras; no driver and no GPU are needed
    python -m benchmarks.absent_gpu --family transformer --preset Large --set batch_size=48

XLA compiles the step for the GPU that is described below, as it would there; only timing kernels against each other, by
which it chooses among equals, is left out. What comes out is read, not run: memory, kernels, bytes, products, and the
time that those take at speeds that large products and copies reach. Of the recurrent families, whose programs have
loops, it tells the memory only.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.compiled_program import Cost, cost_of
from core.errors import InputError
from core.training.settings import EventSettings, RecurrentSettings, TransformerSettings, parse_training_settings

_NAME = "NVIDIA H100 80GB HBM3"
# Assumed of the data sheet's 989 T in bfloat16 and 3.35 TB a second.
_FLOPS, _BYTES = 0.6 * 989e12, 0.85 * 3.35e12
_SHARES = "60 % of the products' and 85 % of the memory's speed"
_SCALARS = ("rate", "correction", "share")

_H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152 shared_memory_per_core: 233472
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128 block_dim_limit_x: 2147483647 block_dim_limit_y: 65535
  block_dim_limit_z: 65535 memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: 84929347584 shared_memory_per_block_optin: 232448 cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
runtime_version { major: 12 minor: 8 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


def main(arguments: list[str] | None = None) -> int:
    """Compile and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.absent_gpu")
    parser.add_argument("--family", default="transformer")
    parser.add_argument("--preset", default="Large")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(arguments)
    if unclear := [pair for pair in options.set if "=" not in pair]:
        parser.error(f"--set {unclear[0]!r}; needed is NAME=VALUE")
    try:
        settings = parse_training_settings(
            options.family, dict(pair.split("=", 1) for pair in options.set), options.preset
        )
    except InputError as error:
        parser.error(str(error))
    if not isinstance(settings, EventSettings):
        parser.error(f"{options.family!r} does not read events; allowed are the families that do")
    if find_spec("jax_plugins") is None:
        parser.error("JAX has no CUDA wheels here; install them with: pip install 'jax[cuda12]'")
    os.environ |= {"KERAS_BACKEND": "jax", "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1"}
    compiled = _compiled_step(settings)
    memory = compiled.memory_analysis()
    used = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    print(f"{settings.family}, {settings.batch_size} x {settings.window} events a step, bfloat16, on {_NAME}")
    print(f"memory              {used / 2**30:.1f} GiB")
    if not isinstance(settings, RecurrentSettings):
        _tell(settings, cost_of(compiled.as_text()))
    return 0


def _compiled_step(settings: EventSettings) -> Any:
    """The whole training step of `core.training.event_program`, compiled by XLA for the H100."""
    import jax
    from jax._src import xla_bridge
    from jax.experimental import topologies

    from core.modeling import backend

    canonical = xla_bridge.canonicalize_platform
    # JAX asks for a GPU to learn whether "gpu" means "cuda" (jax-ml/jax issue 23971).
    named = mock.patch.object(
        xla_bridge, "canonicalize_platform", lambda name: "cuda" if name in {"gpu", "cuda"} else canonical(name)
    )
    attention = mock.patch.object(backend, "fused_attention_refusal", return_value="")
    with named, attention, mock.patch.object(backend, "device_kind", return_value="gpu"):
        there = topologies.get_topology_desc(platform="cuda", target_config=_H100, topology="1x1x1")
        mesh = topologies.make_mesh(there, (1,), ("all",))
        place = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        step, arguments = step_and_arguments(settings)
        shapes = jax.tree.map(
            lambda array: jax.ShapeDtypeStruct(np.shape(array), np.asarray(array).dtype, sharding=place), arguments
        )
        return step.trace(*shapes).lower(lowering_platforms=("cuda",)).compile()


def step_and_arguments(settings: EventSettings) -> tuple[Any, tuple[Any, Any, Any]]:
    """A training step in bfloat16 as `core.training.event_program` makes it, and arguments of the right shapes."""
    from core.modeling.initial import initial_weights
    from core.modeling.network import build_network
    from core.training.event_step import EventStep

    device = _AbsentDevice()
    step = EventStep(build_network(settings, "bfloat16"), settings, device)
    trees = step.begin(initial_weights(settings))
    return device.compiled, (trees, _batch(settings), dict.fromkeys(_SCALARS, np.float32(0)))


class _AbsentDevice:
    """Takes the place of `core.modeling.parallel.OneDevice` and keeps what is to be compiled."""

    count = parts = 1

    def place(self, tree: Any) -> Any:
        """Nowhere."""
        return tree

    def single(self, tree: Any) -> Any:
        """As it is."""
        return tree

    def compile(self, gradients: Any, update: Any) -> Any:
        """Not yet."""
        from core.modeling.parallel import OneDevice

        self.compiled = OneDevice().program(gradients, update)
        return self.compiled


def _batch(settings: EventSettings) -> dict[str, Any]:
    """Arrays as a training step gets them."""
    from core.encoding.sounding import no_facts
    from core.modeling.network import build_network

    rows = settings.batch_size
    events = np.zeros((rows, settings.window), np.int32)
    batch: dict[str, Any] = {"events": events, "targets": events, "counted": np.float32(1)}
    if settings.sounding:
        batch["facts"] = no_facts(rows)
    masks = build_network(settings).dropout_masks(np.random.default_rng(0), rows)
    return batch if masks is None else {**batch, "masks": masks}


def _attention_flops(settings: EventSettings) -> float:
    """Of the fused attention, forward and two and a half times that backward (it computes the scores again)."""
    if not isinstance(settings, TransformerSettings):
        return 0.0
    seen = np.minimum(np.arange(1, settings.window + 1), settings.context).sum() * settings.batch_size
    return float(3.5 * 4 * seen * settings.units * settings.layers)


def _tell(settings: EventSettings, cost: Cost) -> None:
    attention = _attention_flops(settings)
    events = settings.batch_size * settings.window
    seconds = sum(max(each.flops / _FLOPS, each.bytes / _BYTES) for each in cost.kernels) + attention / _FLOPS
    print(f"kernels             {len(cost.kernels):,}, of them fused attention {cost.fused_attentions}")
    print(f"read and written    {cost.bytes / 1e9:.1f} GB")
    print(f"products            {cost.flops / 1e12:.2f} T, and {attention / 1e12:.2f} T of attention")
    print(f"a step at {_SHARES}: {1000 * seconds:.0f} ms, {events / seconds:,.0f} events a second")


if __name__ == "__main__":
    sys.exit(main())
