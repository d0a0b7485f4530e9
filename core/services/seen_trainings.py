"""How long steps have really taken here: what trainings like the one that is asked for have shown."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import InputError
from core.models.datasets import Dataset
from core.models.jobs import Queue, Unit
from core.models.trainings import Training, TrainingPoint
from core.models.workers import Worker
from core.queue.usage import gpus_held
from core.training.estimate import seen_step_seconds
from core.training.settings import EventSettings, parse_stored_settings

# Of the family's trainings the latest few are looked at, and of each the latest points.
_LATEST, _POINTS = 30, 20
# These do not change how long a step takes; of dropout and averaging `_size` keeps whether there is any.
_NOT_OF_SIZE = {
    "seed",
    "files",
    "steps",
    "minutes",
    "learning_rate",
    "warmup_steps",
    "weight_decay",
    "clip_norm",
    "transpose_semitones",
    "stretch",
    "evaluate_every",
    "patience",
    "dropout",
    "average",
}


def latest_step_seconds(session: Session, settings: EventSettings, gpus: int) -> float:
    """Seconds of a step of the latest training with steps of the same size; 0 where none has been seen.

    Args:
        session: sees the trainings that count.
        settings: what is to be trained.
        gpus: on how many GPUs it would run, 0 on a CPU. Trainings whose worker has another number now do not count.
    """
    latest = (
        select(Training.id, Training.settings, Worker.device, Dataset.statistics)
        .join(Unit, Unit.job_id == Training.job_id)
        .join(Worker, Worker.name == Unit.worker)
        .join(Dataset, Dataset.id == Training.dataset_id)
        .where(Training.family == settings.family)
        .order_by(Training.id.desc())
        .limit(_LATEST)
    )
    for number, values, device, statistics in session.execute(latest):
        stored = _read(settings.family, values)
        if stored is None or _size(stored) != _size(settings) or gpus_held(device, Queue.TRAINING) != gpus:
            continue
        held_out = statistics.get("splits", {}).get("validation", {}).get("events", 0)
        seconds = seen_step_seconds(stored, {"held_out_events": float(held_out)}, _points(session, number))
        if seconds > 0:
            return seconds
    return 0.0


def _read(family: str, values: dict[str, Any]) -> EventSettings | None:
    try:
        settings = parse_stored_settings(family, values)
    except InputError:  # of a version that allowed what this one refuses
        return None
    return settings if isinstance(settings, EventSettings) else None


def _size(settings: EventSettings) -> dict[str, Any]:
    """What decides how long a step takes."""
    return {
        **settings.model_dump(exclude=_NOT_OF_SIZE),
        "drops": settings.dropout > 0,
        "averages": settings.average > 0,
    }


def _points(session: Session, training_id: int) -> list[tuple[int, float]]:
    """Steps and seconds of the last points of its curves."""
    points = session.scalars(
        select(TrainingPoint)
        .where(TrainingPoint.training_id == training_id)
        .order_by(TrainingPoint.step.desc())
        .limit(_POINTS)
    )
    return [(point.step, point.seconds) for point in points if point.seconds is not None][::-1]
