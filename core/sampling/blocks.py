"""Rows of a fixed-width block, handed from take to take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
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

    def state(self) -> list[NDArray[np.generic]]:
        """What the rows keep between calls; the first axis is the row."""


Finished = Callable[[int, NDArray[np.generic], NDArray[np.float32] | None], None]


def run_blocks(
    loops: Sequence[ChunkLoop],
    requests: Sequence[tuple[int, float]],
    on_finished: Finished,
    interrupted: Callable[[], bool],
) -> None:
    """Compose all requests, one in each row of each loop at a time; a row whose take is done begins the next one.

    The loops run side by side, each in a thread of its own; everything else happens in the caller's. A row's
    arithmetic depends neither on its place nor on its neighbours, and its numbers on its seed alone, so a take is the
    same whatever else is composed beside it.

    Args:
        loops: compiled loops, as many as shall run at once.
        requests: (seed, temperature) of each take.
        on_finished: called with a take's index, its values `[n, ...]` and, when traced, its logits `[n, events]`.
        interrupted: looked at between chunks.

    Raises:
        CompositionInterrupted: `interrupted` said so.
    """
    waiting = deque(range(len(requests)))
    blocks = [_Block(loop, requests, waiting) for loop in loops]
    with ThreadPoolExecutor(len(blocks), thread_name_prefix="compose") as threads:
        stop = interrupted()
        running = {threads.submit(block.run): block for block in blocks if not stop and block.fill()}
        while running:
            ready, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                block = running.pop(future)
                finished = list(block.collect(future.result()))
                stop = stop or interrupted()
                # First of all, so that the device does not wait while takes are handed over.
                if not stop and block.fill():
                    running[threads.submit(block.run)] = block
                for index, values, trace in finished:
                    on_finished(index, values, trace)
        if stop:
            raise CompositionInterrupted("The composition was interrupted; the takes made so far are kept.")


class _Block:
    """The rows of one loop and the takes that they are at."""

    def __init__(self, loop: ChunkLoop, requests: Sequence[tuple[int, float]], waiting: deque[int]) -> None:
        self._loop = loop
        self._requests, self._waiting = requests, waiting
        self._active: list[int | None] = [None] * loop.rows
        self._generators: list[Uniforms | None] = [None] * loop.rows
        self._parts: list[list[NDArray[np.generic]]] = [[] for _ in self._active]
        self._traces: list[list[NDArray[np.float32]]] = [[] for _ in self._active]
        self._temperatures = np.ones(loop.rows, np.float32)
        self._fresh = np.zeros(loop.rows, bool)

    def fill(self) -> bool:
        """Give the free rows takes that wait; whether any row has one."""
        self._fresh = np.zeros(self._loop.rows, bool)
        for row, index in enumerate(self._active):
            if index is None and self._waiting:
                begun = self._waiting.popleft()
                self._active[row] = begun
                seed, self._temperatures[row] = self._requests[begun]
                self._generators[row], self._fresh[row] = Uniforms(seed), True
        return any(index is not None for index in self._active)

    def run(self) -> ChunkOutput:
        """One chunk; the only part that runs in another thread than the rest."""
        uniforms = np.zeros((self._loop.steps, self._loop.rows), np.float32)
        for row, generator in enumerate(self._generators):
            if generator is not None:
                uniforms[:, row] = generator.take(self._loop.steps)
        return self._loop.run(self._fresh, self._temperatures.copy(), uniforms)

    def collect(self, output: ChunkOutput) -> Iterator[tuple[int, NDArray[np.generic], NDArray[np.float32] | None]]:
        """The takes that a chunk completed; their rows are free again."""
        for row, index in enumerate(self._active):
            if index is None:
                continue
            self._parts[row].append(output.values[: output.counts[row], row])
            if output.logits is not None:
                self._traces[row].append(output.logits[: output.counts[row], row])
            if output.done[row]:
                trace = np.concatenate(self._traces[row]) if self._traces[row] else None
                values = np.concatenate(self._parts[row])
                self._active[row], self._generators[row], self._parts[row], self._traces[row] = None, None, [], []
                yield index, values, trace
