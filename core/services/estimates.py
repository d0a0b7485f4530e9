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
from core.training.estimate import ProductSpeed, estimate_seconds, fitting_steps, recurrent_product, training_flops
from core.training.settings import EventSettings, FamilySettings, TutorialSettings

# What large float32 products reach on the GPUs that teams have; only the order of size matters here.
_GPU_GFLOPS = 20_000.0
_LARGE = (768, 768, 768)
# No narrower and no longer product than this one is measured in place of a recurrent one: 25 ms on 2 cores.
_LARGEST_RECURRENT = (256, 1024, 4096)
_MEASURED_SECONDS, _MOST_REPEATS = 0.02, 20


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
    """Likely time of a training, and how many of its steps fit into its time limit."""
    amounts, speed = _amounts(session, dataset, settings), _speed(session, settings)
    steps = None
    if isinstance(settings, EventSettings):
        fitting = fitting_steps(settings, amounts, speed)
        steps = settings.steps if fitting == settings.steps else _two_digits(fitting)
    return Estimate(estimate_seconds(settings, amounts, speed), steps)


def training_work(session: Session, dataset: Dataset, settings: FamilySettings) -> float:
    """The amount of a training's work, 10^9 operations: what times are measured against.

    Of a training with a time limit, the part that fits on the workers there are now.
    """
    amounts, share = _amounts(session, dataset, settings), 1.0
    if isinstance(settings, EventSettings) and settings.minutes:
        share = fitting_steps(settings, amounts, _speed(session, settings)) / settings.steps
    return max(share * training_flops(settings, amounts) / 1e9, 1.0)


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


def _speed(session: Session, settings: FamilySettings) -> ProductSpeed:
    working = [WorkerState.STARTING, WorkerState.READY, WorkerState.BUSY]
    workers = session.scalars(select(Worker).where(Worker.state.in_(working)))
    devices = [worker.device for worker in workers if Queue.TRAINING.value in worker.queues]
    gpus = max((gpus_held(device, Queue.TRAINING) for device in devices), default=0)
    if gpus:
        return ProductSpeed(gpus * _GPU_GFLOPS, gpus * _GPU_GFLOPS)
    product = recurrent_product(settings) or _LARGE
    bounded = (min(side, most) for side, most in zip(product, _LARGEST_RECURRENT, strict=True))
    return ProductSpeed(_measured_gflops(*_LARGE), _measured_gflops(*bounded))


@lru_cache(maxsize=64)
def _measured_gflops(rows: int, inner: int, columns: int) -> float:
    """This machine's speed in such float32 products, 10^9 operations per second; takes some 20 ms, once."""
    left, right = np.ones((rows, inner), np.float32), np.ones((inner, columns), np.float32)
    fastest, until = np.inf, time.perf_counter() + _MEASURED_SECONDS
    for _ in range(_MOST_REPEATS):
        start = time.perf_counter()
        left @ right
        fastest = min(fastest, time.perf_counter() - start)
        if time.perf_counter() > until:
            break
    return float(2 * rows * inner * columns / fastest / 1e9)
