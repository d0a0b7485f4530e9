"""Muon for the matrices between layers, as pure functions: momentum whose directions all get the same length."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt

from keras import ops

from core.modeling.backend import Tensor, Tree
from core.training.event_settings import MUON_ITERATIONS

_MOMENTUM = 0.95
# The quintic polynomial that takes small singular values to about 1 in a few steps (Jordan 2024).
_A, _B, _C = 3.4445, -4.7750, 2.0315
_SMALLEST_NORM = 1e-7
# Gives an update the size that Adam's have on the average (Liu et al. 2025), so that rates and decay are shared.
_ROOT_MEAN_SQUARE = 0.2


def muon(
    weights: Tree, gradients: Tree, momenta: Tree, matrices: Mapping[str, int], rate: Tensor, decay: float, dtype: str
) -> tuple[Tree, Tree]:
    """One step of Muon (Jordan 2024) with Nesterov's momentum, in Keras's arithmetic.

    A kernel of three axes counts as the matrix of its last axis against the others together. Equal shapes are worked
    on side by side.

    Args:
        weights, gradients, momenta: name to tensor; only the names of `matrices` are looked at.
        matrices: names, and how many matrices of equal size lie side by side in each along its last axis.
        rate: learning rate, scalar.
        decay: share of each matrix that is taken away, times the rate.
        dtype: number format of the products: "float32" or "bfloat16".

    Returns:
        New weights and momenta of those names.
    """
    after = {name: momenta[name] * _MOMENTUM + gradients[name] for name in matrices}
    alike: dict[tuple[int, int], list[tuple[str, Tensor]]] = {}
    for name, count in matrices.items():
        ahead = gradients[name] + after[name] * _MOMENTUM
        flat = ops.reshape(ahead, (prod(ahead.shape[:-1]), ahead.shape[-1]))
        for part in ops.split(flat, count, axis=1):
            alike.setdefault(tuple(part.shape), []).append((name, part))
    updates: dict[str, list[Tensor]] = {name: [] for name in matrices}
    for shape, named in alike.items():
        size = _ROOT_MEAN_SQUARE * sqrt(max(shape))
        directions = ops.unstack(orthogonalised(ops.stack([part for _, part in named]), dtype) * size, len(named))
        for (name, _), direction in zip(named, directions, strict=True):
            updates[name].append(direction)
    changed = {}
    for name in matrices:
        weight = weights[name]
        update = ops.reshape(ops.concatenate(updates[name], axis=1), weight.shape)
        changed[name] = weight - weight * (rate * decay) - update * rate
    return changed, after


def orthogonalised(matrices: Tensor, dtype: str = "float32") -> Tensor:
    """Matrices with the same singular vectors and singular values of about 1 (0.67 to 1.21).

    Those below 3 thousandths of the matrix's norm come out smaller: at most 485 times their share of it.

    Args:
        matrices: float32 `[n, rows, columns]`.
        dtype: number format of the products.
    """
    rows, columns = matrices.shape[1:]
    wide = ops.transpose(matrices, (0, 2, 1)) if rows > columns else matrices
    norm = ops.sqrt(ops.sum(ops.square(wide), axis=(1, 2), keepdims=True))
    x = ops.cast(wide / (norm + _SMALLEST_NORM), dtype)
    for _ in range(MUON_ITERATIONS):
        square = ops.matmul(x, ops.transpose(x, (0, 2, 1)))
        x = _A * x + ops.matmul(_B * square + _C * ops.matmul(square, square), x)
    x = ops.cast(x, "float32")
    return ops.transpose(x, (0, 2, 1)) if rows > columns else x
