"""What a training's log says of the devices and the data that it meets, before its first step."""

from __future__ import annotations

from collections.abc import Iterator

from core.modeling.backend import fused_attention_refusal
from core.modeling.devices import gpu_count
from core.training.settings import EventSettings, TransformerSettings


def peculiarities(settings: EventSettings, devices: int, precision: str, longest_events: int) -> Iterator[str]:
    """Lines for the log; none where all is as it should be.

    Args:
        settings: of the training.
        devices: that share each batch.
        precision: number format of the large products, "float32" or "bfloat16".
        longest_events: of the longest training piece.
    """
    if devices > 1:
        yield f"{devices} devices share each batch."
    if devices < (seen := gpu_count()):
        batch = settings.batch_size
        yield (
            f"Only {devices} of {seen} GPUs can share a batch of {batch} evenly; "
            f"a batch of {-(-batch // seen) * seen} would use all."
        )
    if isinstance(settings, TransformerSettings) and precision == "bfloat16":
        yield from _of_attention(settings)
    if longest_events < settings.window:
        yield (
            f"The window of {settings.window} events is longer than every piece (the longest has "
            f"{longest_events}); the rest of each window is padding, so a shorter one trains faster."
        )


def _of_attention(settings: TransformerSettings) -> Iterator[str]:
    if refusal := fused_attention_refusal(settings.units // settings.heads):
        yield (
            "Attention keeps its scores in the device's memory, so long windows take much of it and more time. "
            f"The kind that does not cannot be used here: {refusal}."
        )
