"""Training steps on one device, or on all GPUs of a machine with the batch shared out among them.

Like `backend` this file knows which library runs below Keras, since each has its own way: TensorFlow's
`MirroredStrategy`, and `keras.distribution` under JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import keras

from core.modeling.backend import Tensor, Tree, jit, to_device, to_numpy
from core.modeling.cores import cpu_devices

Gradients = Callable[[Tree, Tree], tuple[Tensor, Tree]]
"""`(trees, data) -> (loss, gradients)`, the loss of one part of the batch already divided by what the whole counts."""
Update = Callable[[Tree, Tree, Tree], Tree]
"""`(trees, gradients, scalars) -> trees`."""
Step = Callable[[Tree, Sequence[Tree], Tree], tuple[Tree, Tensor]]
"""`(trees, a part of the batch for each device, scalars) -> (trees, loss of the whole batch)`."""


class Devices(Protocol):
    """Where training runs.

    Attributes:
        count: devices that work side by side.
        parts: into how many parts a batch is cut before it is handed over.
    """

    count: int
    parts: int

    def place(self, tree: Tree) -> Tree:
        """Numpy arrays on every device."""

    def single(self, tree: Tree) -> Tree:
        """The same values for functions that run on one device."""

    def compile(self, gradients: Gradients, update: Update) -> Step:
        """One training step."""


def training_devices(batch: int) -> Devices:
    """All GPUs (on a machine made for tests: all virtual CPUs), as far as they share a batch of that size evenly."""
    if keras.backend.backend() == "jax":
        import jax

        names: list[Any] = jax.devices()
        kind: Callable[[list[Any]], Devices] = ShardedDevices
    else:
        import tensorflow as tf

        names = [device.name for device in tf.config.list_logical_devices("GPU")]
        names = names or cpu_devices()
        kind = MirroredDevices
    count = max(number for number in range(1, len(names) + 1) if batch % number == 0)
    return _THE_ONLY if count == 1 else _several(kind, tuple(names[:count]))


class OneDevice:
    """The only device."""

    count = 1
    parts = 1

    def place(self, tree: Tree) -> Tree:
        """On the device."""
        return to_device(tree)

    def single(self, tree: Tree) -> Tree:
        """As they are."""
        return tree

    def compile(self, gradients: Gradients, update: Update) -> Step:
        """One compiled function."""
        compiled = self.program(gradients, update)
        return lambda trees, parts, scalars: compiled(trees, parts[0], scalars)

    def program(self, gradients: Gradients, update: Update) -> Callable[..., Any]:
        """The step before it is compiled for shapes: `(trees, the whole batch, scalars) -> (trees, loss)`."""

        def step(trees: Tree, data: Tree, scalars: Tree) -> tuple[Tree, Tensor]:
            loss, slopes = gradients(trees, data)
            return update(trees, slopes, scalars), loss

        return jit(step, repeatable=True)


class MirroredDevices:
    """TensorFlow: each device holds all weights and works on its part of the batch; gradients are added up."""

    def __init__(self, names: Sequence[str]) -> None:
        import tensorflow as tf

        self._strategy = tf.distribute.MirroredStrategy(list(names))
        self.count = self.parts = len(names)

    def place(self, tree: Tree) -> Tree:
        """A copy on each device."""
        return keras.tree.map_structure(lambda array: self._values([array] * self.count), tree)

    def single(self, tree: Tree) -> Tree:
        """The first device's copy."""
        return keras.tree.map_structure(lambda values: self._strategy.experimental_local_results(values)[0], tree)

    def compile(self, gradients: Gradients, update: Update) -> Step:
        """Two compiled functions on each device, and the sum of gradients between them."""
        import tensorflow as tf

        compiled_gradients, compiled_update = jit(gradients), jit(update)

        def on_each(trees: Tree, data: Tree, scalars: Tree) -> tuple[Tree, Tensor]:
            own = compiled_gradients(trees, data)
            loss, slopes = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, own)
            return compiled_update(trees, slopes, scalars), loss

        run = tf.function(lambda *arguments: self._strategy.run(on_each, args=arguments), autograph=False)

        def step(trees: Tree, parts: Sequence[Tree], scalars: Tree) -> tuple[Tree, Tensor]:
            data = keras.tree.map_structure(lambda *each: self._values(each), *parts)
            after, loss = run(trees, data, to_device(scalars))
            return after, self.single(loss)

        return step

    def _values(self, each: Sequence[Any]) -> Any:
        def of(context: Any) -> Tensor:
            return keras.ops.convert_to_tensor(each[context.replica_id_in_sync_group])

        return self._strategy.experimental_distribute_values_from_function(of)


class ShardedDevices:
    """JAX: one compiled function over all devices; the batch's arrays lie cut along their first axis."""

    def __init__(self, devices: Sequence[Any]) -> None:
        names = [f"{device.platform}:{device.id}" for device in devices]
        self._mesh = keras.distribution.DeviceMesh((len(names),), ("batch",), names)
        self.count = len(names)
        self.parts = 1

    def place(self, tree: Tree) -> Tree:
        """A copy on each device."""
        return keras.tree.map_structure(lambda array: self._lay(array, (None,) * array.ndim), tree)

    def single(self, tree: Tree) -> Tree:
        """Their values anew on the first device."""
        return keras.tree.map_structure(lambda array: to_device(to_numpy(array)), tree)

    def compile(self, gradients: Gradients, update: Update) -> Step:
        """One compiled function, which XLA shares out by where its arguments lie."""
        compiled = OneDevice().compile(gradients, update)

        def step(trees: Tree, parts: Sequence[Tree], scalars: Tree) -> tuple[Tree, Tensor]:
            (whole,) = parts
            data = {name: self._share(tree, cut=name in {"events", "targets", "facts"}) for name, tree in whole.items()}
            return compiled(trees, [data], scalars)

        return step

    def _share(self, tree: Tree, *, cut: bool) -> Tree:
        """Arrays cut by their rows, or whole on each device."""

        def lay(array: Any) -> Tensor:
            return self._lay(array, (("batch" if cut else None), *(None,) * (array.ndim - 1)) if array.ndim else ())

        return keras.tree.map_structure(lay, tree)

    def _lay(self, array: Any, axes: tuple[str | None, ...]) -> Tensor:
        layout = keras.distribution.TensorLayout(axes, self._mesh)
        return keras.distribution.distribute_tensor(array, layout)


_THE_ONLY = OneDevice()


@lru_cache(maxsize=8)
def _several(kind: Callable[[Sequence[Any]], Devices], devices: tuple[Any, ...]) -> Devices:
    """One object for the same devices, so that trainings can share what was compiled for them.

    Two strategies of TensorFlow in one process would call their sums of gradients by the same keys, too.
    """
    return kind(devices)
