"""Training for a given time: the steps that fit are measured first, so that the schedule ends where the time ends."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from core.datasets.corpus import Corpus
from core.training.event_settings import FamilySettings
from core.training.hooks import SilentHooks, TrainingInterrupted, TrainingProgress, TrainingResult
from core.training.run import train
from core.training.settings import TutorialSettings

# How long the speed is measured: a tenth of the training, within these bounds.
_MEASURED_SHARE = 0.1
_LEAST_MEASURED_SECONDS, _MOST_MEASURED_SECONDS = 2.0, 20.0
_EVALUATIONS = 8


@dataclass(frozen=True, slots=True)
class TimedTraining:
    """What came out of a training of a given time.

    Attributes:
        result: the checkpoints.
        events_per_second: read in training, without evaluations; of `tutorial` windows, each of which predicts a note.
    """

    result: TrainingResult
    events_per_second: float


class _Stopwatch(SilentHooks):
    """Ends a training after so many seconds of steps; the first ones, which compile, do not count."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._first: tuple[float, int] | None = None
        self._last = (0.0, 0)
        self.latest: TrainingProgress | None = None

    def progress(self, progress: TrainingProgress) -> None:
        """Remember when which step was done."""
        self._last = (time.monotonic(), progress.step)
        self._first = self._first or self._last
        self.latest = progress

    def interrupted(self) -> bool:
        """When the time is over and more than one step has been done in it."""
        if self._first is None or self._last[1] == self._first[1]:
            return False
        return self._last[0] - self._first[0] > self._seconds

    @property
    def steps_per_second(self) -> float:
        """Without the first call."""
        assert self._first is not None
        return (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])


def train_for(
    settings: FamilySettings, corpus: Corpus, seconds: float, evaluations: int = _EVALUATIONS
) -> TimedTraining:
    """Train for as many steps (`tutorial`: epochs) as fit into `seconds` of this machine without early stopping.

    Compiling and held-out evaluations come on top.

    Args:
        settings: of any family; its own number of steps or epochs does not count.
        corpus: what is trained on.
        seconds: wall time of the steps.
        evaluations: how many held-out figures the checkpoint is chosen by; `tutorial` has one each epoch.
    """
    many = {"epochs": 10_000} if isinstance(settings, TutorialSettings) else {"steps": 10_000_000}
    endless = settings.model_copy(update={**many, "patience": 0, "evaluate_every": 1_000_000})
    watch = _Stopwatch(min(max(_LEAST_MEASURED_SECONDS, _MEASURED_SHARE * seconds), _MOST_MEASURED_SECONDS))
    with suppress(TrainingInterrupted):
        train(endless, corpus, watch, resume_seconds=float("inf"))
    steps = max(1, int(watch.steps_per_second * seconds))
    assert watch.latest is not None
    if isinstance(settings, TutorialSettings):
        steps_per_epoch = watch.latest.steps // many["epochs"]
        length = {"epochs": max(1, round(steps / steps_per_epoch))}
    else:
        length = {"steps": steps, "evaluate_every": max(1, steps // evaluations)}
    chosen = settings.model_copy(update={**length, "patience": 0})
    result = train(chosen, corpus, SilentHooks(), resume_seconds=float("inf"))
    return TimedTraining(result, watch.latest.events_per_second)
