"""Small tensors of a tree side by side, since every tensor that a compiled call takes costs time of its own."""

from __future__ import annotations

from math import prod

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree

# Larger ones travel alone: copying them would cost more than handing them over.
_MOST_VALUES = 65_536
_DTYPES = ("float32", "int32")


class Packing:
    """How a tree becomes a few tensors: one of float32, one of int32 (booleans as 0 and 1), and the large ones.

    With TensorFlow on a CPU a call costs 10 to 20 µs for each argument; a step of a small network takes 50.
    """

    def __init__(self, example: Tree) -> None:
        """Remember the structure, shapes and dtypes of `example`, a tree of arrays or tensors."""
        self._example = example
        self._shapes = [tuple(leaf.shape) for leaf in keras.tree.flatten(example)]
        self._dtypes = [keras.backend.standardize_dtype(leaf.dtype) for leaf in keras.tree.flatten(example)]
        self._groups = [
            ("int32" if dtype == "bool" else dtype)
            if dtype in {*_DTYPES, "bool"} and prod(shape) <= _MOST_VALUES
            else ""
            for shape, dtype in zip(self._shapes, self._dtypes, strict=True)
        ]

    def pack(self, tree: Tree) -> list[Tensor]:
        """The tree's leaves in few tensors; numpy arrays become numpy arrays, everything else tensors."""
        leaves = keras.tree.flatten(tree)
        if all(isinstance(leaf, (np.ndarray, np.generic)) for leaf in leaves):
            return self._pack_arrays(leaves)
        packed = []
        for dtype in _DTYPES:
            group = [
                ops.reshape(ops.cast(leaf, dtype), (-1,))
                for leaf, its in zip(leaves, self._groups, strict=True)
                if its == dtype
            ]
            if group:
                packed.append(ops.concatenate(group))
        return packed + [leaf for leaf, its in zip(leaves, self._groups, strict=True) if not its]

    def unpack(self, packed: list[Tensor]) -> Tree:
        """The tree again; for use inside `jit`, where it costs nothing."""
        rest = list(packed)
        vectors = {dtype: rest.pop(0) for dtype in _DTYPES if dtype in self._groups}
        used = dict.fromkeys(vectors, 0)
        leaves = []
        for shape, dtype, group in zip(self._shapes, self._dtypes, self._groups, strict=True):
            if not group:
                leaves.append(rest.pop(0))
                continue
            at, size = used[group], prod(shape)
            used[group] = at + size
            leaves.append(ops.cast(ops.reshape(vectors[group][at : at + size], shape), dtype))
        return keras.tree.pack_sequence_as(self._example, leaves)

    def _pack_arrays(self, leaves: list[NDArray[np.generic]]) -> list[NDArray[np.generic]]:
        packed: list[NDArray[np.generic]] = []
        for dtype in _DTYPES:
            group = [
                np.asarray(leaf, dtype).reshape(-1)
                for leaf, its in zip(leaves, self._groups, strict=True)
                if its == dtype
            ]
            if group:
                packed.append(np.concatenate(group))
        return packed + [np.asarray(leaf) for leaf, its in zip(leaves, self._groups, strict=True) if not its]
