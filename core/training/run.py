"""The one way to train any family."""

from __future__ import annotations

from core.datasets.corpus import Corpus
from core.modeling.backend import make_deterministic
from core.modeling.device_memory import unless_memory_is_full
from core.training.events_run import EventTraining
from core.training.hooks import (
    SilentHooks,
    TrainingHooks,
    TrainingInterrupted,
    TrainingPoint,
    TrainingProgress,
    TrainingResult,
)
from core.training.memory import memory_is_full
from core.training.settings import EventSettings, FamilySettings, TutorialSettings
from core.training.tutorial_run import TutorialTraining

__all__ = [
    "SilentHooks",
    "TrainingHooks",
    "TrainingInterrupted",
    "TrainingPoint",
    "TrainingProgress",
    "TrainingResult",
    "train",
]


def train(
    settings: FamilySettings, corpus: Corpus, hooks: TrainingHooks, resume_seconds: float = 45.0
) -> TrainingResult:
    """Train a model, from the hooks' resume point where there is one.

    The same settings and corpus end with the same weights bit for bit on the same machine, however often the training
    was interrupted or killed and taken up again.

    Args:
        settings: of any family.
        corpus: the dataset's notes.
        hooks: are told everything, and asked between steps whether to stop.
        resume_seconds: longest time between two resume points.

    Raises:
        TrainingInterrupted: the hooks asked to stop; a resume point has been written.
        TrainingError: the data does not suffice, the loss became no number, or the device's memory is too small.
        DeviceError: the device's memory is too small for a held-out figure.
    """
    make_deterministic()
    with unless_memory_is_full(memory_is_full()):
        if isinstance(settings, EventSettings):
            return EventTraining(settings, corpus, hooks, resume_seconds).run()
        if isinstance(settings, TutorialSettings):
            return TutorialTraining(settings, corpus, hooks, resume_seconds).run()
    raise TypeError(f"no training is known for the family {settings.family!r}")
