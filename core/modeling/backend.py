"""What Keras does not offer: asked of the machine learning library below it, whichever that is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from core.modeling.device_memory import is_out_of_memory
from core.modeling.devices import device_kind

Tensor = Any  # Keras tensors carry no types
Tree = Any  # dicts, tuples and lists of tensors
Operation = TypeVar("Operation", bound=Callable[..., Any])


def jit(function: Callable[..., Any], *, repeatable: bool = False) -> Callable[..., Any]:
    """Compile a pure function of tensors and trees of tensors, once for each set of shapes.

    XLA fuses the many small operations of a recurrent step: training LSTM(512) on a CPU is 1.8 times as fast as
    TensorFlow's own graphs.

    Args:
        function: to be compiled.
        repeatable: under JAX on a GPU, take no operation whose result differs from run to run (other kernels may still
            be chosen in another process, since XLA times them). Not for a function that compiled ones call.
            TensorFlow does so, and more, for all functions once `make_deterministic` has been called.
    """
    if keras.backend.backend() == "jax":
        import jax

        options = {"xla_gpu_exclude_nondeterministic_ops": True} if repeatable and device_kind() == "gpu" else None
        traced: Callable[..., Any] = jax.jit(function, compiler_options=options)
        return traced
    import tensorflow as tf

    # TensorFlow's macOS wheels come without XLA for the CPU.
    compiled: Callable[..., Any] = tf.function(function, jit_compile=sys.platform == "linux", autograph=False)
    return compiled


def side_by_side(function: Callable[..., Any]) -> Callable[..., Any]:
    """Trace a pure function that calls `jit` functions; those that do not need each other's results run at once.

    For small products, which the threads of a CPU cannot share: each core has a function of its own instead.
    """
    if keras.backend.backend() == "jax":
        return jit(function)
    import tensorflow as tf

    traced: Callable[..., Any] = tf.function(function, autograph=False)
    return traced


def custom_gradient(function: Operation) -> Operation:
    """Decorate a function that returns `(result, gradient function)`, as `keras.ops.custom_gradient` does."""
    decorated: Operation = keras.ops.custom_gradient(function)
    return decorated


def value_and_gradients(
    function: Callable[[Tree], tuple[Tensor, Tree]], weights: Tree
) -> tuple[tuple[Tensor, Tree], Tree]:
    """`function(weights)` is `(loss, more)`: that, and the loss's gradient by each weight. For use inside `jit`."""
    if keras.backend.backend() == "jax":
        import jax

        result: tuple[tuple[Tensor, Tree], Tree] = jax.value_and_grad(function, has_aux=True)(weights)
        return result
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss, more = function(weights)
    return (loss, more), tape.gradient(loss, weights)


def scan(
    step: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, inputs: Tree, *, reverse: bool = False
) -> tuple[Tree, Tree]:
    """Run `step(carry, input) -> (carry, output)` over the first axis of `inputs`, as `jax.lax.scan` does.

    `keras.ops.scan` asks under TensorFlow for outputs shaped like the carry, which no network here has.

    Returns:
        The last carry, and the outputs stacked along a new first axis (in the inputs' order, also when `reverse`).
    """
    if keras.backend.backend() == "jax":
        import jax

        scanned: tuple[Tree, Tree] = jax.lax.scan(step, carry, inputs, reverse=reverse)
        return scanned
    import tensorflow as tf

    flat_inputs = [tf.convert_to_tensor(part) for part in keras.tree.flatten(inputs)]
    flat_carry = [tf.convert_to_tensor(part) for part in keras.tree.flatten(carry)]
    length = flat_inputs[0].shape[0]
    shapes: list[Any] = []  # of the outputs, as a tree; found by tracing one step

    def packed(index: Tensor, flat: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        step_input = keras.tree.pack_sequence_as(inputs, [tf.gather(part, index) for part in flat_inputs])
        after, output = step(keras.tree.pack_sequence_as(carry, flat), step_input)
        shapes[:] = [output]
        return keras.tree.flatten(after), keras.tree.flatten(output)

    traced = tf.function(lambda *flat: packed(0, list(flat))[1], autograph=False).get_concrete_function(
        *[tf.TensorSpec(part.shape, part.dtype) for part in flat_carry]
    )
    arrays = [
        tf.TensorArray(part.dtype, size=length, element_shape=part.shape) for part in keras.tree.flatten(traced.outputs)
    ]

    def body(index: Tensor, flat: list[Tensor], arrays: list[Any]) -> tuple[Tensor, list[Tensor], list[Any]]:
        after, outputs = packed(index, flat)
        written = [array.write(index, output) for array, output in zip(arrays, outputs, strict=True)]
        return index + (-1 if reverse else 1), after, written

    start = tf.constant(length - 1 if reverse else 0)
    _, flat_carry, arrays = tf.while_loop(
        lambda index, *_: index >= 0 if reverse else index < length,
        body,
        (start, flat_carry, arrays),
        maximum_iterations=length,
    )
    outputs = keras.tree.pack_sequence_as(shapes[0], [array.stack() for array in arrays])
    return keras.tree.pack_sequence_as(carry, flat_carry), outputs


def random_uniform(key: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Numbers of at least 0 and below 1, decided by `key` (int32 `[2]`) and the shape alone; for use inside `jit`."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.random.uniform(jax.random.wrap_key_data(keras.ops.cast(key, "uint32")), shape)
    import tensorflow as tf

    return tf.random.stateless_uniform(shape, key)


def fused_attention(queries: Tensor, keys: Tensor, values: Tensor, context: int) -> Tensor | None:
    """Causal attention over the last `context` events that keeps no scores in memory; None where there is none.

    Only JAX offers it, on NVIDIA GPUs, for bfloat16. Arguments and result are `[batch, heads, time, head]`.
    """
    if queries.dtype != "bfloat16" or fused_attention_refusal(queries.shape[-1]):
        return None
    return jax_attention(queries, keys, values, context, "cudnn")


@lru_cache(maxsize=8)
def fused_attention_refusal(head: int) -> str:
    """Why `fused_attention` cannot be used here for heads of that width; empty where it can.

    Tried once, over 64 events and with a gradient. What the library says of a full memory passes unchanged, since that
    tells nothing of the next time.
    """
    if keras.backend.backend() != "jax":
        return f"{keras.backend.backend()} has none, JAX does"
    if device_kind() != "gpu":
        return "there is no GPU"
    import jax

    def tried(values: Tensor) -> Tensor:
        return keras.ops.sum(keras.ops.cast(jax_attention(values, values, values, 32, "cudnn"), "float32"))

    try:
        # Outside of what is being traced just now.
        with jax.ensure_compile_time_eval():
            to_numpy(jax.jit(jax.grad(tried))(keras.ops.ones((1, 1, 64, head), "bfloat16")))
    except (RuntimeError, ValueError, NotImplementedError) as error:
        if is_out_of_memory(error):
            raise
        # No cuDNN, one that is too old, or heads or a GPU that it has no such attention for.
        return str(error).partition("\n")[0].rstrip(".") or type(error).__name__
    return ""


def jax_attention(queries: Tensor, keys: Tensor, values: Tensor, context: int, implementation: str) -> Tensor:
    """JAX's own attention; `implementation` is "cudnn" (NVIDIA GPUs) or "xla" (anywhere, to check it with)."""
    import jax

    rows_first = [keras.ops.transpose(part, (0, 2, 1, 3)) for part in (queries, keys, values)]
    merged = jax.nn.dot_product_attention(
        *rows_first, is_causal=True, local_window_size=(context - 1, 0), implementation=implementation
    )
    return keras.ops.transpose(merged, (0, 2, 1, 3))


def select(condition: Tensor, chosen: Tree, otherwise: Tree) -> Tree:
    """Row by row one of two trees of the same shapes; `condition` is bool `[rows]`, or a scalar for all rows."""

    def pick(a: Tensor, b: Tensor) -> Tensor:
        return keras.ops.where(keras.ops.reshape(condition, (-1,) + (1,) * (len(a.shape) - 1)), a, b)

    return keras.tree.map_structure(pick, chosen, otherwise)


def to_device(tree: Tree) -> Tree:
    """Numpy arrays of a tree as tensors."""
    return keras.tree.map_structure(keras.ops.convert_to_tensor, tree)


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """A tensor's values; waits until they are computed."""
    array: NDArray[Any] = np.asarray(keras.ops.convert_to_numpy(tensor))
    return array


def copied(tensors: list[Tensor]) -> list[Tensor]:
    """The same values where one computes now; see `on_core`."""
    return [keras.ops.copy(tensor) for tensor in tensors]


def make_deterministic() -> None:
    """Ask for the same bits at every run. Call before anything is computed; calling it again does no harm."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
