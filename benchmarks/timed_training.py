"""Training for a given time: the steps that fit are measured first, so that the schedule ends where the time ends."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.calibration import measure_speed
from core.datasets.corpus import Corpus
from core.training.event_settings import FamilySettings
from core.training.hooks import SilentHooks, TrainingResult
from core.training.run import train

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


def train_for(
    settings: FamilySettings, corpus: Corpus, seconds: float, evaluations: int = _EVALUATIONS
) -> TimedTraining:
    """Train for as many steps (`tutorial`: epochs) as fit into `seconds` of this machine without early stopping.

    Compiling and held-out evaluations come on top.

    Args:
        settings: of any family; its own number of steps or epochs and its time limit do not count.
        corpus: what is trained on.
        seconds: wall time of the steps.
        evaluations: how many held-out figures the checkpoint is chosen by; `tutorial` has one each epoch.
    """
    speed = measure_speed(settings, corpus, seconds)
    steps = max(1, int(speed.steps_per_second * seconds))
    if speed.steps_per_epoch:
        length: dict[str, float] = {"epochs": max(1, round(steps / speed.steps_per_epoch))}
    else:
        length = {"steps": steps, "evaluate_every": max(1, steps // evaluations), "minutes": 0.0}
    chosen = settings.model_copy(update={**length, "patience": 0})
    result = train(chosen, corpus, SilentHooks(), resume_seconds=float("inf"))
    return TimedTraining(result, speed.events_per_second)
