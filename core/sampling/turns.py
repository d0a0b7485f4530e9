"""Rows of a compiled block that finish one take and begin the next within one run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras import ops

from core.modeling.backend import Tensor, Tree, select
from core.modeling.restarting import restarting_scan

_AT_HAND = -1
"""In `begun`: the row is still at the take that it came with."""

Draw = Callable[[Tree, Tensor, Tensor], tuple[Tree, Tree]]


def run_turns(
    draw: Draw,
    is_done: Callable[[Tree], Tensor],
    start: Tree,
    carry: Tree,
    staged: Tensor,
    temperatures: Tensor,
    uniforms: Tensor,
) -> tuple[Tree, tuple[Tensor, Tensor, Tree]]:
    """Run a block; a row that is done, at the beginning or on the way, begins the take that waits behind it.

    For use inside `jit`. Ends early when nothing is left to do.

    Args:
        draw: `draw(carry, uniforms [rows], temperatures [rows]) -> (carry, outputs)`, one step of all rows.
        is_done: bool `[rows]` of a carry: whose take is complete.
        start: the carry of rows that begin a take.
        carry: the rows' own.
        staged, temperatures, uniforms: see `core.sampling.blocks.ChunkInput`.

    Returns:
        The carry, and: int32, how many steps were run; int32 `[rows]`, the step with which each row's next take began,
        or -1; the outputs `[steps, ...]`, which mean nothing beyond the steps that were run.
    """
    _, steps, rows = uniforms.shape
    numbers = ops.reshape(uniforms, (-1,))

    def waits(state: Tree) -> Tensor:
        return staged & (state["begun"] == _AT_HAND)

    def begin(number: Tensor, state: Tree) -> Tree:
        begins = waits(state) & is_done(state["carry"])
        return {
            "carry": select(begins, start, state["carry"]),
            "begun": ops.where(begins, number, state["begun"]),
            # The numbers of the take that waits lie behind all of those of the take at hand.
            "cursor": ops.where(begins, steps * rows + ops.arange(rows, dtype="int32"), state["cursor"]),
        }

    def step(_: Tensor, state: Tree) -> tuple[Tree, Tree]:
        its = ops.where(state["begun"] == _AT_HAND, temperatures[0], temperatures[1])
        after, outputs = draw(state["carry"], ops.take(numbers, state["cursor"]), its)
        return {"carry": after, "begun": state["begun"], "cursor": state["cursor"] + rows}, outputs

    ran, last, outputs = restarting_scan(
        step,
        begin,
        {"carry": carry, "begun": np.full(rows, _AT_HAND, np.int32), "cursor": np.arange(rows, dtype=np.int32)},
        steps,
        due=lambda state: ops.any(waits(state) & is_done(state["carry"])),
        active=lambda state: ops.any(waits(state) | ~is_done(state["carry"])),
    )
    return last["carry"], (ran, last["begun"], outputs)
