"""Training and generation with LSTM(512) on a GPU, as shares of what its matrix products allow.

Runs under JAX where that sees a GPU, else under TensorFlow where that does, else says that there is none.
`KERAS_BACKEND=jax` or `=tensorflow` in the environment chooses.
"""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from typing import Any

from benchmarks import stages
from benchmarks.harness import Options, Row, Side, interleave, run_program, say, timing_notes

_BATCH, _WINDOW, _STEPS = 64, 1_024, 10
_SEQUENCES, _NOTES = 4_096, 50
_SIZE, _PRODUCTS = 8_192, 20


def main() -> None:
    """Run it."""
    run_program(measure, repeats=3)


def measure(options: Options) -> list[Row]:
    """Two rows on a GPU, none without."""
    backend = _backend_with_gpu()
    if not backend:
        say("there is no GPU that JAX or TensorFlow sees: nothing is measured")
        return []
    os.environ["KERAS_BACKEND"] = backend
    return measure_on(options, backend, _BATCH, _WINDOW, _SEQUENCES, _NOTES)


def measure_on(options: Options, backend: str, batch: int, window: int, sequences: int, notes: int) -> list[Row]:
    """The rows at the given sizes, on whatever device the backend computes."""
    from benchmarks.bench_train_lstm import our_training
    from benchmarks.peers import EMBEDDING, UNITS
    from core.encoding.performance import SIZE

    flops = _matrix_flops(backend)
    where = f"{_device_name(backend)}, Keras on {backend}; {flops / 1e12:,.1f} TFLOP/s in float32 products of its kind"
    events = batch * window
    sides = {
        "training": our_training(options, batch, _STEPS, window=window),
        "generation": _generation(sequences, notes),
    }
    timings = interleave(sides, options.repeats)
    # Forward and twice backward: products of the inputs' table, of states and of outputs.
    step_flops = 3 * 2 * (SIZE * EMBEDDING * 4 * UNITS + events * UNITS * (4 * UNITS + SIZE))
    events_limit = flops / (2 * UNITS * (4 * UNITS + SIZE))
    return [
        Row(
            stages.GPU_TRAIN, "events/s", timings["training"].rate, limit=flops / step_flops * events,
            limit_name="matrix products alone", notes=[where, *timing_notes({"ours": timings["training"]})],
        ),
        Row(
            stages.GPU_GENERATE, "notes/s", timings["generation"].rate, limit=events_limit,
            limit_name="matrix products of one event a note",
            notes=[where, *timing_notes({"ours": timings["generation"]})],
        ),
    ]  # fmt: skip


def _generation(sequences: int, notes: int) -> Side:
    from benchmarks.models import lstm_checkpoint
    from benchmarks.peers import EMBEDDING, UNITS
    from core.sampling.composer import Composer
    from core.sampling.settings import TakeSettings

    composer = Composer(lstm_checkpoint(EMBEDDING, UNITS))
    plan = [(seed, 1.0) for seed in range(sequences)]

    def side() -> float:
        made: list[int] = []
        composer.compose(plan, TakeSettings(length=notes), None, lambda _, take: made.append(len(take)), lambda: False)
        return float(sum(made))

    return side


def _backend_with_gpu() -> str:
    """The chosen backend if it has a GPU, else the first that has one; empty without."""
    chosen = os.environ.get("KERAS_BACKEND")
    for backend in (chosen,) if chosen else ("jax", "tensorflow"):
        if backend in {"jax", "tensorflow"} and find_spec(backend) is not None and _sees_gpu(backend):
            return backend
    return ""


def _sees_gpu(backend: str) -> bool:
    if backend == "jax":
        import jax

        return bool(jax.default_backend() == "gpu")
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _device_name(backend: str) -> str:
    if backend == "jax":
        import jax

        return str(jax.devices()[0].device_kind)
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("CPU")
    details: dict[str, Any] = tf.config.experimental.get_device_details(devices[0])
    return str(details.get("device_name", devices[0].name))


def _matrix_flops(backend: str) -> float:
    """Operations per second in products of 8,192 × 8,192 float32 matrices, one after the other, best of three runs."""
    from core.modeling.backend import jit, to_device, to_numpy

    size = _SIZE if _sees_gpu(backend) else 1_024
    import keras
    import numpy as np

    def chain(a: Any) -> Any:
        product = a
        for _ in range(_PRODUCTS):
            product = keras.ops.matmul(product, a)
        return keras.ops.sum(product)

    compiled = jit(chain)
    # Random numbers of a size that products keep; zeros would cost a GPU less power and so look faster.
    a = to_device(np.random.default_rng(0).normal(0, size**-0.5, (size, size)).astype(np.float32))
    to_numpy(compiled(a))
    best = 0.0
    for _ in range(3):
        started = time.perf_counter()
        to_numpy(compiled(a))
        best = max(best, _PRODUCTS * 2 * size**3 / (time.perf_counter() - started))
    return best


if __name__ == "__main__":
    main()
