"""A compiled loop that can be broken off, or put right, between two steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from core.modeling.backend import Tensor, Tree

_Step = Callable[[Tensor, Tree], tuple[Tree, Tree]]


def restarting_scan(
    step: _Step,
    restart: Callable[[Tensor, Tree], Tree],
    carry: Tree,
    length: int,
    *,
    due: Callable[[Tree], Tensor],
    active: Callable[[Tree], Tensor],
) -> tuple[Tensor, Tree, Tree]:
    """Run `step(number, carry) -> (carry, output)` for the numbers 0 to `length` - 1, as long as `active(carry)` holds.

    Before the first step, and before every one at which `due(carry)` holds, `restart(number, carry) -> carry` puts the
    carry right, after which nothing may be due. It stands in a loop around the steps, so that the steps between cost
    nothing more; a condition in each step would make the compiler copy the carry.

    Returns:
        How many steps were run, the carry after them, and the outputs along a new first axis of `length`; what lies
        beyond the steps that were run means nothing.
    """
    if keras.backend.backend() == "jax":
        return _under_jax(step, restart, carry, length, due, active)
    return _under_tensorflow(step, restart, carry, length, due, active)


def _under_tensorflow(
    step: _Step, restart: Any, carry: Tree, length: int, due: Any, active: Any
) -> tuple[Tensor, Tree, Tree]:
    import tensorflow as tf

    flat_carry = [tf.convert_to_tensor(part) for part in keras.tree.flatten(carry)]
    shapes: list[Any] = []  # of the outputs, as a tree; found by tracing one step

    def tree_of(flat: list[Tensor]) -> Tree:
        return keras.tree.pack_sequence_as(carry, flat)

    def once(number: Tensor, flat: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        after, output = step(number, tree_of(flat))
        shapes[:] = [output]
        return keras.tree.flatten(after), keras.tree.flatten(output)

    traced = tf.function(lambda *flat: once(tf.constant(0), list(flat))[1], autograph=False).get_concrete_function(
        *[tf.TensorSpec(part.shape, part.dtype) for part in flat_carry]
    )
    arrays = [
        tf.TensorArray(part.dtype, size=length, element_shape=part.shape) for part in keras.tree.flatten(traced.outputs)
    ]

    def goes_on(number: Tensor, flat: list[Tensor], _: Any) -> Tensor:
        return (number < length) & active(tree_of(flat))

    def run_one(number: Tensor, flat: list[Tensor], arrays: list[Any]) -> tuple[Tensor, list[Tensor], list[Any]]:
        after, outputs = once(number, flat)
        written = [array.write(number, output) for array, output in zip(arrays, outputs, strict=True)]
        return number + 1, after, written

    def run_some(number: Tensor, flat: list[Tensor], arrays: list[Any]) -> tuple[Tensor, list[Tensor], list[Any]]:
        right = keras.tree.flatten(restart(number, tree_of(flat)))
        some: tuple[Tensor, list[Tensor], list[Any]] = tf.while_loop(
            lambda *loop: goes_on(*loop) & ~due(tree_of(loop[1])), run_one, (number, right, arrays)
        )
        return some

    number, flat_carry, arrays = tf.while_loop(goes_on, run_some, (tf.constant(0), flat_carry, arrays))
    outputs = keras.tree.pack_sequence_as(shapes[0], [array.stack() for array in arrays])
    return number, tree_of(flat_carry), outputs


def _under_jax(step: _Step, restart: Any, carry: Tree, length: int, due: Any, active: Any) -> tuple[Tensor, Tree, Tree]:
    import jax

    carry = keras.tree.map_structure(ops.convert_to_tensor, carry)
    shapes = jax.eval_shape(lambda inner: step(ops.convert_to_tensor(0, "int32"), inner)[1], carry)
    outputs = keras.tree.map_structure(lambda part: ops.zeros((length, *part.shape), part.dtype), shapes)

    def goes_on(loop: Any) -> Tensor:
        number, inner, _ = loop
        return (number < length) & active(inner)

    def run_one(loop: Any) -> Any:
        number, inner, outputs = loop
        after, output = step(number, inner)
        written = keras.tree.map_structure(
            lambda whole, part: jax.lax.dynamic_update_index_in_dim(whole, part, number, 0), outputs, output
        )
        return number + 1, after, written

    def run_some(loop: Any) -> Any:
        number, inner, outputs = loop
        right = restart(number, inner)
        return jax.lax.while_loop(lambda loop: goes_on(loop) & ~due(loop[1]), run_one, (number, right, outputs))

    result: tuple[Tensor, Tree, Tree] = jax.lax.while_loop(
        goes_on, run_some, (ops.convert_to_tensor(0, "int32"), carry, outputs)
    )
    return result
