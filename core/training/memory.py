"""What a training says when a device's memory is full, and which batch would fit."""

from __future__ import annotations

import gc
from collections.abc import Callable

from core.errors import TrainingError
from core.modeling.device_memory import WHAT_FREES_MEMORY, is_out_of_memory, out_of_memory_errors

_KEPT = "What was stored is kept."


def memory_is_full() -> TrainingError:
    """For whatever else does not fit, such as a held-out figure."""
    return TrainingError(
        f"The device's memory is full. {_KEPT} {WHAT_FREES_MEMORY}; else train again with a smaller batch, a shorter "
        "window or a smaller network, or on a device with more memory."
    )


def weights_do_not_fit(parameters: int) -> TrainingError:
    """For a device that does not even hold the network and what its optimiser keeps of it."""
    return TrainingError(
        f"The device's memory does not hold this network's {parameters:,} weights and what their training keeps beside "
        f"them. {_KEPT} {WHAT_FREES_MEMORY}; else train again with a smaller network, or on a device with more memory."
    )


def batch_does_not_fit(windows: int, length: int, unit: str, run: Callable[[int], int]) -> TrainingError:
    """For a device on which a step with `windows` windows of `length` `unit` did not fit; tries which batch does.

    Call it where the error of that step has been let go, since it holds on to the step's memory.

    Args:
        windows, length, unit: of the batch that was asked for.
        run: runs a step with at most so many windows and raises what the library raises; gives how many it had.
    """
    for most in (windows >> halvings for halvings in range(1, windows.bit_length())):
        gc.collect()  # Tracebacks and their frames refer to each other, and to what the failed step still holds.
        try:
            fitting = run(most)
        except out_of_memory_errors() as error:
            if not is_out_of_memory(error):
                raise
            continue
        if fitting:
            return TrainingError(
                f"The device's memory does not hold a batch of {windows} windows of {length} {unit}. {_KEPT} Train "
                f"again with a batch of {fitting}, which fits, or with a shorter window."
            )
    return TrainingError(
        f"The device's memory does not hold one window of {length} {unit}. {_KEPT} Train again with a shorter window "
        "or a smaller network."
    )
