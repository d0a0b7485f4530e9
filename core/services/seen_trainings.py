"""How long steps have really taken here: what trainings like the one that is asked for have shown."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import InputError
from core.models.jobs import Queue, Unit
from core.models.trainings import Training, TrainingPoint
from core.models.workers import Worker
from core.queue.usage import gpus_held
from core.training.settings import EventSettings, parse_stored_settings

# Of the family's trainings, the latest few are looked at.
_LATEST = 30
# What does not change how long a step takes.
_ANY = {
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
}


def seen_step_seconds(session: Session, settings: EventSettings, gpus: int) -> float:
    """Seconds of a step of the latest training with steps of the same size; 0 where none has been seen.

    A step's share of the held-out figures is in it, the start and compiling are not.

    Args:
        session: to ask.
        settings: what is to be trained.
        gpus: on how many GPUs it would run, 0 on a CPU; trainings on others are passed over.
    """
    latest = (
        select(Training.id, Training.settings, Worker.device)
        .join(Unit, Unit.job_id == Training.job_id)
        .join(Worker, Worker.name == Unit.worker)
        .where(Training.family == settings.family)
        .order_by(Training.id.desc())
        .limit(_LATEST)
    )
    wanted = settings.model_dump(exclude=_ANY)
    for number, stored, device in session.execute(latest):
        if gpus_held(device, Queue.TRAINING) == gpus and _sizes(settings.family, stored) == wanted:
            seconds = _step_seconds(session, number)
            if seconds:
                return seconds
    return 0.0


def _sizes(family: str, stored: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return parse_stored_settings(family, stored).model_dump(exclude=_ANY)
    except InputError:  # of a version that allowed what this one refuses
        return None


def _step_seconds(session: Session, training_id: int) -> float:
    """Between the first and the last point of its curves; 0 where there are not two."""
    points = session.scalars(
        select(TrainingPoint).where(TrainingPoint.training_id == training_id).order_by(TrainingPoint.step)
    )
    timed = [(point.step, point.seconds) for point in points if point.seconds is not None]
    if len(timed) < 2:
        return 0.0
    (first, began), (last, ended) = timed[0], timed[-1]
    return (ended - began) / (last - first)
