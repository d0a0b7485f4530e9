"""How fast this machine trains, measured by a training whose results are thrown away."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from core.datasets.corpus import Corpus
from core.training.hooks import SilentHooks, TrainingInterrupted, TrainingProgress
from core.training.settings import FamilySettings, TutorialSettings

# How long the speed is measured: a tenth of the training, within these bounds.
_MEASURED_SHARE = 0.1
_LEAST_MEASURED_SECONDS, _MOST_MEASURED_SECONDS = 2.0, 20.0
_ENDLESS_EPOCHS, _ENDLESS_STEPS = 10_000, 10_000_000


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured.

    Attributes:
        begin_seconds: until the first step was done: encoding, compiling.
        steps_per_second: after that, without held-out figures.
        events_per_second: the same in events (`tutorial`: windows).
        steps_per_epoch: of `tutorial`; 0 for the others.
    """

    begin_seconds: float
    steps_per_second: float
    events_per_second: float
    steps_per_epoch: int


def measure_speed(settings: FamilySettings, corpus: Corpus, seconds: float) -> Speed:
    """Train for a small part of `seconds`, and see how fast it goes.

    Args:
        settings: of any family; its own number of steps or epochs and its time limit do not count.
        corpus: what is trained on.
        seconds: how long the training shall take that this prepares.
    """
    from core.training.run import train

    is_tutorial = isinstance(settings, TutorialSettings)
    endless_steps = {"steps": _ENDLESS_STEPS, "evaluate_every": 1_000_000, "minutes": 0.0}
    many: dict[str, float] = {"epochs": _ENDLESS_EPOCHS} if is_tutorial else endless_steps
    endless = settings.model_copy(update={**many, "patience": 0})
    watch = _Stopwatch(min(max(_LEAST_MEASURED_SECONDS, _MEASURED_SHARE * seconds), _MOST_MEASURED_SECONDS))
    began = time.monotonic()
    with suppress(TrainingInterrupted):
        train(endless, corpus, watch, resume_seconds=float("inf"))
    assert watch.first is not None
    assert watch.latest is not None
    steps_per_epoch = watch.latest.steps // _ENDLESS_EPOCHS if is_tutorial else 0
    return Speed(watch.first[0] - began, watch.steps_per_second, watch.latest.events_per_second, steps_per_epoch)


class _Stopwatch(SilentHooks):
    """Ends a training after so many seconds of steps; the first ones, which compile, do not count."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = (0.0, 0)
        self.first: tuple[float, int] | None = None
        self.latest: TrainingProgress | None = None

    def progress(self, progress: TrainingProgress) -> None:
        """Remember when which step was done."""
        self._last = (time.monotonic(), progress.step)
        self.first = self.first or self._last
        self.latest = progress

    def interrupted(self) -> bool:
        """When the time is over and more than one step has been done in it."""
        if self.first is None or self._last[1] == self.first[1]:
            return False
        return self._last[0] - self.first[0] > self._seconds

    @property
    def steps_per_second(self) -> float:
        """Without the first call."""
        assert self.first is not None
        return (self._last[1] - self.first[1]) / (self._last[0] - self.first[0])
