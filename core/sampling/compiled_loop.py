"""One block of rows of a composition: what a compiled program does with them, run after run."""

from __future__ import annotations

from typing import Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree, copied, to_numpy
from core.modeling.cores import on_core
from core.sampling.blocks import ChunkInput, ChunkOutput


class Program(Protocol):
    """Compiled functions for blocks of one width.

    Attributes:
        rows, steps: of a block, and most of a run.
    """

    rows: int
    steps: int

    def idle(self, start: list[Tensor]) -> list[Tensor]:
        """The packed carry of rows that have no take yet, from that of rows that begin one."""

    def unpack(self, carry: list[Tensor]) -> Tree:
        """What a packed carry holds."""


class CompiledLoop:
    """The `ChunkLoop` of a program. Values, or the first number of each, are below 0 where they belong to no take."""

    def __init__(
        self, program: Program, chunk: Tree, weights: list[Tensor], start: list[Tensor], asked: list[Tensor], core: int
    ) -> None:
        """All rows are idle.

        Args:
            program: what the rows are for.
            chunk: one of its compiled chunks.
            weights, asked: as the chunk wants them.
            start: the packed carry of rows that begin a take.
            core: which of the processor's cores computes.
        """
        self.rows, self.steps = program.rows, program.steps
        self._program, self._chunk, self._core = program, chunk, core
        with on_core(core):
            self._weights = copied(weights) if core else weights
        self._start, self._carry, self._asked = start, program.idle(start), asked

    def run(self, wanted: ChunkInput) -> ChunkOutput:
        """Some steps of every row."""
        with on_core(self._core):
            self._carry, done, (ran, begun, drawn) = self._chunk(
                self._weights,
                self._start,
                self._carry,
                self._asked,
                wanted.staged,
                wanted.temperatures,
                wanted.uniforms,
            )
            values = to_numpy(drawn[0])[: int(ran)]
            logits = to_numpy(drawn[1])[: int(ran)] if len(drawn) > 1 else None
            drew = (values if values.ndim == 2 else values[..., 0]) >= 0
            return ChunkOutput(values, drew, to_numpy(begun), to_numpy(done), logits)

    def state(self) -> list[NDArray[np.generic]]:
        """What the rows keep between calls."""
        return [to_numpy(leaf) for leaf in keras.tree.flatten(self._program.unpack(self._carry))]
