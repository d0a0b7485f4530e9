"""What trainings make small: cross-entropy over events, and the three losses of the article."""

from __future__ import annotations

from keras import ops

from core.modeling.backend import Tensor

LOSS_WEIGHTS = {"pitch": 0.05, "step": 1.0, "duration": 1.0}
"""Of the article's heads in its whole loss."""


def event_nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Negative log likelihood of each target, in nats; 0 where the target is padding (negative).

    Args:
        logits: float32 `[batch, time, events]`.
        targets: int32 `[batch, time]`.
    """
    # A comparison and a sum instead of a gather: its gradient needs no scatter, and XLA fuses it.
    chosen = ops.arange(logits.shape[-1], dtype="int32") == targets[..., None]
    likelihood = ops.sum(ops.where(chosen, logits, 0.0), axis=-1) - ops.logsumexp(logits, axis=-1)
    return ops.where(targets >= 0, -likelihood, 0.0)


def tutorial_losses(heads: dict[str, Tensor], targets: Tensor, counted: Tensor | None = None) -> dict[str, Tensor]:
    """The article's three losses, each a mean over the batch.

    Pitch: sparse cross-entropy. Step and duration: mean square error with positive pressure,
    mean((y - p)^2 + 10 max(-p, 0)), which pushes predictions below zero upwards.

    Args:
        heads: as `tutorial_forward` gives them.
        targets: float32 `[batch, 3]`, the next note's pitch (0 to 127, not scaled), step and duration.
        counted: float32 `[batch]`, 1 for rows that count; all without it.
    """
    weight = ops.ones_like(targets[:, 0]) if counted is None else counted
    total = ops.sum(weight)
    pitch = event_nats(heads["pitch"], ops.cast(targets[:, 0], "int32"))
    losses = {"pitch": ops.sum(pitch * weight) / total}
    for column, name in ((1, "step"), (2, "duration")):
        error = ops.square(targets[:, column] - heads[name]) + 10.0 * ops.maximum(-heads[name], 0.0)
        losses[name] = ops.sum(error * weight) / total
    return losses
