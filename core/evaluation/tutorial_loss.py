"""The held-out loss of the article's family: no likelihood over events, and not comparable to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.modeling.backend import Tree, make_deterministic, to_device, to_numpy
from core.modeling.checkpoints import Checkpoint
from core.modeling.device_memory import model_has_no_room, unless_memory_is_full
from core.modeling.tutorial import HEADS
from core.music.notes import Notes
from core.training.loss import LOSS_WEIGHTS
from core.training.settings import TutorialSettings
from core.training.tutorial_program import compiled_tutorial_losses
from core.training.tutorial_windows import spread, window_starts

_ROWS = 512
_MOST_WINDOWS = 65_536


def tutorial_held_out(checkpoint: Checkpoint, pieces: Sequence[Notes], between: Callable[[], None]) -> dict[str, float]:
    """The article's losses over windows of held-out pieces: all of them, or 65,536 evenly spread.

    Args:
        checkpoint: of the family `tutorial`.
        pieces: held out.
        between: called several times a second; may raise to interrupt.

    Returns:
        `loss` (weighted as in training), `pitch` (nats per note, of the pitch alone), `step` and `duration` (mean
        square errors with the article's pressure), `windows`.

    Raises:
        InputError: no piece is longer than the window.
        DeviceError: the device's memory does not hold the model and the windows that are read at a time.
    """
    make_deterministic()
    settings = checkpoint.family_settings
    assert isinstance(settings, TutorialSettings)
    triples, all_starts = window_starts(list(pieces), settings.window)
    starts = spread(all_starts, _MOST_WINDOWS)
    if not len(starts):
        raise InputError.of(
            "dataset_id",
            f"dataset_id: no held-out piece is longer than the window of {settings.window} notes; choose another.",
        )
    with unless_memory_is_full(model_has_no_room(checkpoint.parameters)):
        sums = _sums(to_device(checkpoint.weights), triples, starts, settings.window, between)
    means = {name: total / len(starts) for name, total in sums.items()}
    return {
        "loss": sum(LOSS_WEIGHTS[name] * means[name] for name in HEADS),
        **means,
        "windows": float(len(starts)),
    }


def _sums(
    weights: Tree,
    triples: NDArray[np.float32],
    starts: NDArray[np.int64],
    window: int,
    between: Callable[[], None],
) -> dict[str, float]:
    """Each head's losses, added up over the windows that begin at `starts`."""
    losses_of = compiled_tutorial_losses()
    sums = dict.fromkeys(HEADS, 0.0)
    for first in range(0, len(starts), _ROWS):
        between()
        rows = starts[first : first + _ROWS]
        counted = (np.arange(_ROWS) < len(rows)).astype(np.float32)
        windows = triples[np.resize(rows, _ROWS)[:, None] + np.arange(window + 1)]
        losses = losses_of(weights, windows, counted)
        sums = {name: sums[name] + float(to_numpy(losses[name])) * len(rows) for name in HEADS}
    return sums
