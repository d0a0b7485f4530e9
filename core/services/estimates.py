"""How long a training will probably take, asked before it is submitted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.datasets import Dataset, Piece
from core.models.jobs import Queue
from core.models.workers import Worker, WorkerState
from core.queue.usage import gpus_held
from core.services.seen_trainings import latest_step_seconds
from core.training.estimate import estimate_seconds, fitting_steps
from core.training.flops import training_flops
from core.training.product_speed import (
    ProductSpeed,
    predicted_step_seconds,
    predicted_tutorial_seconds,
    recurrent_product,
)
from core.training.settings import EventSettings, FamilySettings, TutorialSettings

# What large float32 products reach on the GPUs that teams have; only the order of size matters here.
_GPU_GFLOPS = 20_000.0
_LARGE = (768, 768, 768)
# Of a larger recurrent product this much is measured: 12 ms on 2 cores.
_LARGEST_RECURRENT = (256, 1024, 2048)
# So wide, a recurrent product is usually half as fast as a large one. Less than half of what is usual is measured where
# other programs keep the threads from meeting.
_HALF_SPEED_UNITS = 400
# The first ones wait for the threads to begin, and on a busy machine few are left alone.
_LEAST_REPEATS, _MOST_REPEATS, _MEASURED_SECONDS = 10, 50, 0.03


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training is likely to take.

    Attributes:
        seconds: on the worker that would take it, early stopping left out.
        steps: likely done in them; None for `tutorial`, which counts epochs.
    """

    seconds: float
    steps: int | None


def estimate_training(session: Session, dataset: Dataset, settings: FamilySettings) -> Estimate:
    """Likely time of a training, and how many of its steps fit into its time limit.

    By the latest training of that size on such a device that the session sees, and where there is none by how fast this
    machine multiplies.
    """
    amounts = _amounts(session, dataset, settings)
    if isinstance(settings, EventSettings):
        seconds = _step_seconds(session, settings)
        fitting = fitting_steps(settings, amounts, seconds)
        steps = settings.steps if fitting == settings.steps else _two_digits(fitting)
        return Estimate(estimate_seconds(settings, amounts, seconds), steps)
    if isinstance(settings, TutorialSettings):
        return Estimate(predicted_tutorial_seconds(settings, amounts, _speed(settings, _gpus(session))), None)
    raise TypeError(f"no estimate is known for the family {settings.family!r}")


def training_work(session: Session, dataset: Dataset, settings: FamilySettings) -> float:
    """The amount of a training's work, 10^9 operations: what times are measured against.

    Of a training with a time limit, the part that fits on the workers there are now.
    """
    amounts, share = _amounts(session, dataset, settings), 1.0
    if isinstance(settings, EventSettings) and settings.minutes:
        share = fitting_steps(settings, amounts, _step_seconds(session, settings)) / settings.steps
    return max(share * training_flops(settings, amounts) / 1e9, 1.0)


def _step_seconds(session: Session, settings: EventSettings) -> float:
    gpus = _gpus(session)
    seen = latest_step_seconds(session, settings, gpus)
    return seen or predicted_step_seconds(settings, _speed(settings, gpus))


def _two_digits(number: int) -> int:
    """A number of 1 or more rounded down to two digits: an estimate does not know more of it."""
    unit = int(10 ** max(0, len(str(number)) - 2))
    return number // unit * unit


def _amounts(session: Session, dataset: Dataset, settings: FamilySettings) -> dict[str, float]:
    """What there is to train on, as `core.training.estimate` wants it."""
    splits = dataset.statistics.get("splits", {})
    train, held_out = splits.get("train", {}), splits.get("validation", {})
    amounts = {
        "events": float(train.get("events", 0)),
        "notes": float(train.get("notes", 0)),
        "held_out_events": float(held_out.get("events", 0)),
    }
    if isinstance(settings, TutorialSettings):
        pieces = (
            select(Piece.notes_count)
            .where(Piece.dataset_id == dataset.id, Piece.split == "train")
            .order_by(Piece.index)
            .limit(settings.files or None)
        )
        amounts["windows"] = float(sum(max(notes - settings.window, 0) for notes in session.scalars(pieces)))
    return amounts


def _gpus(session: Session) -> int:
    """How many GPUs a training would have: those of the worker that has most."""
    working = [WorkerState.STARTING, WorkerState.READY, WorkerState.BUSY]
    workers = session.scalars(select(Worker).where(Worker.state.in_(working)))
    devices = [worker.device for worker in workers if Queue.TRAINING.value in worker.queues]
    return max((gpus_held(device, Queue.TRAINING) for device in devices), default=0)


def _speed(settings: FamilySettings, gpus: int) -> ProductSpeed:
    large = gpus * _GPU_GFLOPS if gpus else _measured_gflops(*_LARGE)
    product = recurrent_product(settings)
    if product is None:
        return ProductSpeed(large, large)
    _, units, _ = product
    usual = large * units / (units + _HALF_SPEED_UNITS)
    if gpus:
        return ProductSpeed(large, usual)
    bounded = (min(side, most) for side, most in zip(product, _LARGEST_RECURRENT, strict=True))
    return ProductSpeed(large, max(_measured_gflops(*bounded), usual / 2))


@lru_cache(maxsize=64)
def _measured_gflops(rows: int, inner: int, columns: int) -> float:
    """This machine's speed in such float32 products, 10^9 operations per second; takes 30 to 120 ms, once."""
    left, right = np.ones((rows, inner), np.float32), np.ones((inner, columns), np.float32)
    fastest, began = np.inf, time.perf_counter()
    for repeat in range(_MOST_REPEATS):
        start = time.perf_counter()
        if repeat >= _LEAST_REPEATS and start - began > _MEASURED_SECONDS:
            break
        left @ right
        fastest = min(fastest, time.perf_counter() - start)
    return float(2 * rows * inner * columns / fastest / 1e9)
