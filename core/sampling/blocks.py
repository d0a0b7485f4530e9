"""Rows of a fixed-width block, handed from take to take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import CadenzaError
from core.sampling.uniforms import Uniforms


class CompositionInterrupted(CadenzaError):  # noqa: N818 - it is an order that was followed, not a mistake
    """The composition stopped because it was asked to; takes already handed over are complete."""


@dataclass(frozen=True, slots=True)
class ChunkOutput:
    """What one run of the compiled loop gives.

    Attributes:
        values: `[steps, rows, ...]`, what each row drew.
        counts: int32 `[rows]`, how many of a row's steps belong to its take.
        done: bool `[rows]`, whether its take is complete.
        logits: float32 `[steps, rows, events]` when traced, else None.
    """

    values: NDArray[np.generic]
    counts: NDArray[np.int32]
    done: NDArray[np.bool_]
    logits: NDArray[np.float32] | None = None


class ChunkLoop(Protocol):
    """A compiled loop over one block, which keeps its rows' state on the device between calls."""

    rows: int
    steps: int

    def run(
        self, fresh: NDArray[np.bool_], temperatures: NDArray[np.float32], uniforms: NDArray[np.float32]
    ) -> ChunkOutput:
        """Some steps; rows that are `fresh` begin a take first. Uniforms are `[steps, rows]`."""


Finished = Callable[[int, NDArray[np.generic], NDArray[np.float32] | None], None]


def run_blocks(
    loop: ChunkLoop,
    requests: Sequence[tuple[int, float]],
    on_finished: Finished,
    interrupted: Callable[[], bool],
) -> None:
    """Compose all requests, at most `loop.rows` at a time; a row whose take is done begins the next one.

    A row's arithmetic depends neither on its place nor on its neighbours, and its numbers on its seed alone, so a take
    is the same whatever else is composed beside it.

    Args:
        loop: the compiled loop.
        requests: (seed, temperature) of each take.
        on_finished: called with a take's index, its values `[n, ...]` and, when traced, its logits `[n, events]`.
        interrupted: looked at between chunks.

    Raises:
        CompositionInterrupted: `interrupted` said so.
    """
    waiting = deque(range(len(requests)))
    active: list[int | None] = [None] * loop.rows
    generators: list[Uniforms | None] = [None] * loop.rows
    parts: list[list[NDArray[np.generic]]] = [[] for _ in active]
    traces: list[list[NDArray[np.float32]]] = [[] for _ in active]
    temperatures = np.ones(loop.rows, np.float32)
    uniforms = np.zeros((loop.steps, loop.rows), np.float32)
    while waiting or any(index is not None for index in active):
        if interrupted():
            raise CompositionInterrupted("The composition was interrupted; the takes made so far are kept.")
        fresh = np.zeros(loop.rows, bool)
        for row in range(loop.rows):
            if active[row] is None and waiting:
                begun = waiting.popleft()
                active[row] = begun
                seed, temperatures[row] = requests[begun]
                generators[row], fresh[row] = Uniforms(seed), True
            generator = generators[row]
            if generator is not None:
                uniforms[:, row] = generator.take(loop.steps)
        output = loop.run(fresh, temperatures, uniforms)
        for row, index in enumerate(active):
            if index is None:
                continue
            parts[row].append(output.values[: output.counts[row], row])
            if output.logits is not None:
                traces[row].append(output.logits[: output.counts[row], row])
            if output.done[row]:
                trace = np.concatenate(traces[row]) if traces[row] else None
                values = np.concatenate(parts[row])
                active[row], generators[row], parts[row], traces[row] = None, None, [], []
                on_finished(index, values, trace)
