"""Rows of a fixed-width block, handed from take to take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import CadenzaError
from core.sampling.uniforms import Uniforms


class CompositionInterrupted(CadenzaError):  # noqa: N818 - it is an order that was followed, not a mistake
    """The composition stopped because it was asked to; takes already handed over are complete."""


@dataclass(frozen=True, slots=True)
class ChunkInput:
    """What one run of the compiled loop needs.

    Attributes:
        staged: bool `[rows]`, whether a take waits behind the row's own; it begins as soon as that is done.
        temperatures: float32 `[2, rows]`, of the take that a row is at, and of the one that waits behind it.
        uniforms: float32 `[2, steps, rows]`, the next numbers of both.
    """

    staged: NDArray[np.bool_]
    temperatures: NDArray[np.float32]
    uniforms: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ChunkOutput:
    """What one run of the compiled loop gives.

    Attributes:
        values: `[steps, rows, ...]`, what each row drew in the steps that were run; fewer when all takes were done.
        drew: bool `[steps, rows]`, whether it belongs to a take.
        begun: int32 `[rows]`, the step with which the take that waited began; -1 where it waits still.
        done: bool `[rows]`, whether the row's last take is complete.
        logits: float32 `[steps, rows, events]` when traced, else None.
    """

    values: NDArray[np.generic]
    drew: NDArray[np.bool_]
    begun: NDArray[np.int32]
    done: NDArray[np.bool_]
    logits: NDArray[np.float32] | None = None


class ChunkLoop(Protocol):
    """A compiled loop over one block. Its rows' state stays on the device between calls; at first all are done."""

    rows: int
    steps: int

    def run(self, wanted: ChunkInput) -> ChunkOutput:
        """At most `steps` steps."""

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
    waiting = deque(_Take(index, *request) for index, request in enumerate(requests))
    blocks = [_Block(loop, waiting) for loop in loops]
    with ThreadPoolExecutor(len(blocks), thread_name_prefix="compose") as threads:
        stop = interrupted()
        running = {threads.submit(block.run): block for block in blocks if not stop and block.stage()}
        while running:
            ready, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                block = running.pop(future)
                finished = list(block.collect(future.result()))
                stop = stop or interrupted()
                # First of all, so that the device does not wait while takes are handed over.
                if not stop and block.stage():
                    running[threads.submit(block.run)] = block
                for take in finished:
                    on_finished(take.index, *take.whole())
        if stop:
            raise CompositionInterrupted("The composition was interrupted; the takes made so far are kept.")


@dataclass(slots=True)
class _Take:
    """One request, and what was drawn for it so far."""

    index: int
    seed: int
    temperature: float
    steps: int = 0
    parts: list[NDArray[np.generic]] = field(default_factory=list)
    traces: list[NDArray[np.float32]] = field(default_factory=list)
    uniforms: Uniforms = field(init=False)

    def __post_init__(self) -> None:
        self.uniforms = Uniforms(self.seed)

    def add(self, output: ChunkOutput, row: int, first: int, end: int) -> None:
        """Take over what a row drew in some steps."""
        count = int(output.drew[first:end, row].sum())
        self.steps += count
        self.uniforms.skip(count)
        self.parts.append(output.values[first : first + count, row])
        if output.logits is not None:
            self.traces.append(output.logits[first : first + count, row])

    def whole(self) -> tuple[NDArray[np.generic], NDArray[np.float32] | None]:
        """All values, and all logits when traced."""
        return np.concatenate(self.parts), np.concatenate(self.traces) if self.traces else None


class _Block:
    """The rows of one loop, the takes that they are at and those that wait behind them."""

    def __init__(self, loop: ChunkLoop, waiting: deque[_Take]) -> None:
        self._loop, self._waiting = loop, waiting
        self._active: list[_Take | None] = [None] * loop.rows
        self._staged: list[_Take | None] = [None] * loop.rows

    def stage(self) -> bool:
        """Put takes that wait behind the rows, free ones and long ones first; whether any row has something to do."""
        rows = sorted(range(self._loop.rows), key=lambda row: -(take.steps if (take := self._active[row]) else np.inf))
        for row in rows[: len(self._waiting)]:
            self._staged[row] = self._waiting.popleft()
        return any(take is not None for take in (*self._active, *self._staged))

    def run(self) -> ChunkOutput:
        """One chunk; the only part that runs in another thread than the rest."""
        steps, rows = self._loop.steps, self._loop.rows
        temperatures = np.ones((2, rows), np.float32)
        uniforms = np.zeros((2, steps, rows), np.float32)
        for turn, takes in enumerate((self._active, self._staged)):
            for row, take in enumerate(takes):
                if take is not None:
                    temperatures[turn, row] = take.temperature
                    uniforms[turn, :, row] = take.uniforms.ahead(steps)
        return self._loop.run(ChunkInput(np.array([take is not None for take in self._staged]), temperatures, uniforms))

    def collect(self, output: ChunkOutput) -> Iterator[_Take]:
        """The takes that a chunk completed. What has not begun waits again, for any block."""
        end = len(output.values)
        unused = []
        for row, (active, staged, begun) in enumerate(
            zip(self._active, self._staged, output.begun.tolist(), strict=True)
        ):
            if active is not None:
                active.add(output, row, 0, end if begun < 0 else begun)
                if begun >= 0 or output.done[row]:
                    yield active
                    self._active[row] = None
            if staged is not None and begun >= 0:
                staged.add(output, row, begun, end)
                self._active[row] = None if output.done[row] else staged
                if output.done[row]:
                    yield staged
            elif staged is not None:
                unused.append(staged)
            self._staged[row] = None
        self._waiting.extendleft(sorted(unused, key=lambda take: -take.index))
