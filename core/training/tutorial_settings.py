"""Settings of the article's network."""

from __future__ import annotations

from typing import Any, ClassVar

from core.fields import setting
from core.training.event_settings import FamilySettings


class TutorialSettings(FamilySettings):
    """The article's network, to the letter."""

    family = "tutorial"
    encoding = "tutorial"
    summary = (
        "The network of the article: 25 notes of (pitch, step, duration) in, one LSTM of 128 units, "
        "three heads. Quick to train, and there to hear what the other families add to it."
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {"Article": {}, "Quick": {"epochs": 5}}

    files: int = setting(5, "Pieces", "Train on the first N training pieces; 0 means all.", ge=0, le=1_000_000)
    window: int = setting(
        25, "Window", "Notes that the network sees before it predicts the next.", unit="notes", ge=2, le=200
    )
    epochs: int = setting(50, "Epochs", "Passes over all windows.", ge=1, le=10_000)
    batch_size: int = setting(64, "Batch", "Windows per step.", unit="windows", ge=1, le=4096)
    learning_rate: float = setting(0.005, "Learning rate", "Of Adam.", advanced=True, gt=0, le=1)
    patience: int = setting(
        5,
        "Patience",
        "Stop after so many epochs without a better loss; 0 never stops early.",
        unit="epochs",
        ge=0,
        le=10_000,
    )
