"""Trainings: submit, look up, follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from core.errors import InputError, NotFoundError
from core.fields import PersonSettings
from core.models.datasets import Dataset
from core.models.jobs import JobKind, Queue
from core.models.trainings import Training, TrainingPoint
from core.queue.enqueue import enqueue
from core.services.datasets import ready_dataset
from core.services.estimates import training_work
from core.services.paging import Page, fetch_page
from core.services.rows import storable
from core.services.window_fit import check_window, window_advice
from core.training.settings import FAMILIES, FamilySettings, parse_stored_settings, parse_training_settings

LONGEST_NAME = 200


def check_name(name: str, fallback: str) -> str:
    """A name as stored, or `fallback` for an empty one.

    Raises:
        InputError: too long.
    """
    cleaned = " ".join(storable(name).split())
    if len(cleaned) > LONGEST_NAME:
        raise InputError.of("name", f"name: {len(cleaned)} characters are refused; allowed is 1 to {LONGEST_NAME}.")
    return cleaned or fallback


def create_training(
    session: Session,
    *,
    dataset_id: int,
    family: str,
    values: Mapping[str, Any],
    preset: str = "",
    name: str = "",
    evaluate: bool = True,
    owner: str = "local",
) -> Training:
    """Queue a training of `family` on a dataset; an evaluation of its model follows by itself if `evaluate`.

    Raises:
        InputError: a setting outside its range, an unknown family, preset or dataset.
        ConflictError: the dataset is not imported yet.
    """
    settings = parse_training_settings(family, dict(values), preset)
    dataset = ready_dataset(session, dataset_id)
    _check_pieces(dataset, settings)
    check_window(session, dataset, settings)
    title = check_name(name, f"{family} {preset or 'custom'} on {dataset.name}"[:LONGEST_NAME])
    training = Training(
        dataset_id=dataset.id,
        name=title,
        owner=owner,
        family=family,
        settings=settings.model_dump(mode="json"),
        evaluate=evaluate,
    )
    session.add(training)
    session.flush()
    job = enqueue(
        session,
        kind=JobKind.TRAINING,
        queue=Queue.TRAINING,
        title=title,
        owner=owner,
        payloads=[{"training_id": training.id}],
        request={
            "subject": "training",
            "subject_id": training.id,
            "dataset_id": dataset.id,
            "rate_key": f"{family} {preset}",
        },
        work=training_work(session, dataset, settings) if isinstance(settings, FamilySettings) else 1.0,
        progress_unit="steps",
    )
    training.job_id = job.id
    return training


def get_training(session: Session, training_id: int) -> Training:
    """One training with its job and dataset.

    Raises:
        NotFoundError: there is none of this number.
    """
    statement = (
        select(Training)
        .where(Training.id == training_id)
        .options(joinedload(Training.job), joinedload(Training.dataset))
    )
    training = session.scalar(statement)
    if training is None:
        raise NotFoundError(f"There is no training {training_id}.")
    return training


def advice_on(training: Training) -> str:
    """What a person should know of a training's settings on its dataset; empty without any."""
    if training.family not in FAMILIES:
        return ""
    try:
        return window_advice(training.dataset, parse_stored_settings(training.family, training.settings))
    except InputError:  # of another version, whose settings are not today's
        return ""


def find_trainings(session: Session, *, page: int = 1, per_page: int = 50) -> Page[Training]:
    """All trainings, the newest first."""
    statement = (
        select(Training).options(joinedload(Training.job), joinedload(Training.dataset)).order_by(Training.id.desc())
    )
    return fetch_page(session, statement, page=page, per_page=per_page)


def training_points(session: Session, training_id: int) -> Sequence[TrainingPoint]:
    """The points of a training's curves, by step."""
    statement = select(TrainingPoint).where(TrainingPoint.training_id == training_id).order_by(TrainingPoint.step)
    return session.scalars(statement).all()


def _check_pieces(dataset: Dataset, settings: PersonSettings) -> None:
    by_split = dataset.statistics.get("splits", {})
    train = int(by_split.get("train", {}).get("pieces", 0))
    held_out = int(by_split.get("validation", {}).get("pieces", 0))
    if train == 0:
        raise InputError.of(
            "dataset_id", f"dataset_id: {dataset.name!r} has no piece to train on; import at least two pieces."
        )
    if held_out == 0 and isinstance(settings, FamilySettings) and settings.encoding == "performance":
        raise InputError.of(
            "dataset_id",
            f"dataset_id: {dataset.name!r} has no validation piece, so no held-out figure can be measured; "
            "import a dataset of at least three pieces.",
        )
