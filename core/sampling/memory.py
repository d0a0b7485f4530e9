"""Composing on a device whose memory turns out to be too small: narrower blocks, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import DeviceError
from core.modeling.backend import is_out_of_memory, out_of_memory_errors
from core.sampling.blocks import ChunkLoop, Finished, run_blocks


def run_within_memory(
    make_loops: Callable[[int], Sequence[ChunkLoop]],
    narrow: Callable[[], bool],
    requests: Sequence[tuple[int, float]],
    on_finished: Finished,
    interrupted: Callable[[], bool],
) -> None:
    """Compose as `run_blocks` does; where the memory is full, go on with what is missing in narrower blocks.

    Args:
        make_loops: loops for so many takes.
        narrow: makes the next loops narrower; False when they cannot be.
        requests, on_finished, interrupted: as `run_blocks` wants them.

    Raises:
        CompositionInterrupted: `interrupted` said so.
        DeviceError: the memory does not even hold the narrowest block.
    """
    missing = dict(enumerate(requests))
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
            run_blocks(make_loops(len(indexes)), [missing[index] for index in indexes], finished, interrupted)
        except out_of_memory_errors() as error:
            if not is_out_of_memory(error):
                raise
            if not narrow():
                raise DeviceError(
                    "The device's memory does not hold one take of this model at a time. Takes made so far are kept. "
                    "Use a smaller model, or a worker with more memory."
                ) from None
