"""Cross-entropy over events."""

from __future__ import annotations

from keras import ops

from core.modeling.backend import Tensor


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
