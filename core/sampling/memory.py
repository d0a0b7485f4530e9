"""Composing on a device whose memory turns out to be too small: narrower blocks, and nothing twice."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import DeviceError
from core.modeling.device_memory import WHAT_FREES_MEMORY, is_out_of_memory, out_of_memory_errors
from core.sampling.blocks import ChunkLoop, Finished, run_blocks

MakeLoops = Callable[[int, int], Sequence[ChunkLoop]]


def run_within_memory(
    make_loops: MakeLoops,
    widest: int,
    requests: Sequence[tuple[int, float]],
    on_finished: Finished,
    interrupted: Callable[[], bool],
    log: Callable[[str], None] = lambda _: None,
) -> None:
    """Compose as `run_blocks` does; where the memory is full, go on with what is missing in narrower blocks.

    Args:
        make_loops: loops for so many takes, of blocks with at most so many rows.
        widest: rows of a block where there is room. The next piece of work begins with it again: what filled the memory
            may have been another's.
        requests, on_finished, interrupted: as `run_blocks` wants them.
        log: told with how many takes side by side it goes on, each time that they become fewer.

    Raises:
        CompositionInterrupted: `interrupted` said so.
        DeviceError: the memory does not even hold the narrowest block.
    """
    missing = dict(enumerate(requests))
    rows = widest
    while missing:
        indexes = list(missing)

        def finished(
            place: int,
            values: NDArray[np.generic],
            logits: NDArray[np.float32] | None,
            indexes: list[int] = indexes,
        ) -> None:
            del missing[indexes[place]]
            on_finished(indexes[place], values, logits)

        try:
            loops_of = make_loops if rows == widest else _telling(make_loops, log)
            run_blocks(loops_of(len(indexes), rows), [missing[index] for index in indexes], finished, interrupted)
        except out_of_memory_errors() as error:
            if not is_out_of_memory(error):
                raise
            if rows == 1:
                raise _no_take_fits() from None
            rows //= 2
        else:
            return
        # Tracebacks and their frames refer to each other, and to what the wider blocks hold. Only here: a search of all
        # that a process has loaded takes longer than composing a short take.
        gc.collect()


def _telling(make_loops: MakeLoops, log: Callable[[str], None]) -> MakeLoops:
    """The same loops, and a line about how narrow they have become. Keeps none of them, since they hold memory."""

    def made(takes: int, rows: int) -> Sequence[ChunkLoop]:
        loops = make_loops(takes, rows)
        log(
            "The device's memory is full: composing goes on with at most "
            f"{sum(loop.rows for loop in loops)} takes side by side. That takes longer, and these takes may differ in "
            "bits from others of the same seeds."
        )
        return loops

    return made


def _no_take_fits() -> DeviceError:
    return DeviceError(
        "The device's memory does not hold one take of this model at a time. Takes made so far are kept. "
        f"{WHAT_FREES_MEMORY}; else use a smaller model, or a worker with more memory."
    )
