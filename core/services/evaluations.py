"""Evaluations: submit, look up, delete; by themselves after trainings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session, joinedload

from core.artifacts import ArtifactStore
from core.errors import CadenzaError, ConflictError, InputError, NotFoundError
from core.evaluation.results import VERSION
from core.evaluation.settings import EvaluationSettings
from core.models.datasets import Dataset
from core.models.evaluations import Evaluation
from core.models.generations import Generation
from core.models.jobs import JobKind, JobState, Queue
from core.models.trainings import Model, Training
from core.people.audit import acting
from core.queue.enqueue import enqueue
from core.queue.logs import log
from core.records.database import Database, announce
from core.services.datasets import ready_dataset
from core.services.generations import get_generation, plan_generation
from core.services.lineage import trained_on
from core.services.paging import Page, fetch_page
from core.services.rows import kept, locked

PURPOSE = "evaluation"
"""What the generation of an evaluation is for."""
LOW_PRIORITY = -1
"""Of evaluations that nobody asked for: people's own generations go first."""


def create_evaluation(
    session: Session,
    store: ArtifactStore,
    *,
    model_id: int,
    dataset_id: int | None = None,
    values: Mapping[str, Any] | None = None,
    generation_id: int | None = None,
    owner: str = "local",
    priority: int = 0,
) -> Evaluation:
    """Queue an evaluation of a model on a dataset, by default the one that it was trained on.

    Args:
        session: of a transaction.
        store: where a primer is kept, for a family that needs one.
        model_id: what is measured.
        dataset_id: what it is measured on.
        values: settings of `EvaluationSettings`.
        generation_id: a generation of the model whose takes are measured, instead of new ones.
        owner: who asks.
        priority: of the job.

    Raises:
        InputError: a setting outside its range, an unknown model, dataset or generation, no held-out piece.
        ConflictError: the dataset is not imported yet, or the generation is still being made.
    """
    settings = EvaluationSettings.parse(values or {})
    model = kept(session, Model, model_id)
    if model is None:
        raise InputError.of("model_id", f"model_id: there is no model {model_id}; choose one from the list.")
    dataset = _dataset_for(session, model, dataset_id, settings.split)
    title = f"Evaluation of {model.name} on {dataset.name}"[:200]
    if generation_id is not None:
        generation: Generation | None = _generation_of(session, model, generation_id)
    elif settings.takes:
        generation = plan_generation(
            session,
            store,
            model_id=model.id,
            values={
                "seeds": settings.seeds,
                "length": settings.notes,
                "temperatures": [settings.temperature],
                "top_p": settings.top_p,
            },
            name=f"{settings.takes} takes to measure {model.name}"[:200],
            owner=owner,
            purpose=PURPOSE,
        )
    else:
        generation = None
    evaluation = Evaluation(
        model_id=model.id,
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        generation_id=generation.id if generation is not None else None,
        owner=owner,
        split=settings.split,
        settings=settings.model_dump(mode="json"),
        version=VERSION,
    )
    session.add(evaluation)
    session.flush()
    job = enqueue(
        session,
        kind=JobKind.EVALUATION,
        queue=Queue.GENERATION,
        title=title,
        owner=owner,
        payloads=[{"evaluation_id": evaluation.id}],
        request={
            "subject": "evaluation",
            "subject_id": evaluation.id,
            "model_id": model.id,
            "dataset_id": dataset.id,
            "generation_id": evaluation.generation_id,
        },
        priority=priority,
    )
    evaluation.job_id = job.id
    if generation is not None and generation_id is None:
        generation.job_id = job.id
    announce(session, f"model:{model.id}", "evaluations")
    return evaluation


def evaluate_after_training(session: Session, store: ArtifactStore, training: Training, model: Model) -> None:
    """Queue the evaluation that follows a training by itself, if it shall and its model is not being measured already.

    One that cannot be is no reason to fail what made the model: the job's log says why.
    """
    measured = select(Evaluation.id).where(
        Evaluation.model_id == model.id, Evaluation.dataset_id == training.dataset_id
    )
    if not training.evaluate or session.scalar(measured.limit(1)) is not None:
        return
    try:
        with session.begin_nested():
            create_evaluation(
                session,
                store,
                model_id=model.id,
                dataset_id=training.dataset_id,
                owner=training.owner,
                priority=LOW_PRIORITY,
            )
    except CadenzaError as error:
        if training.job_id is not None:
            log(session, training.job_id, f"No evaluation follows: {error}", "warning")


def evaluable_split(generation: Generation, dataset: Dataset | None) -> str:
    """The held-out pieces on which a generation can be measured as it is now: "validation", "test", or "" for none."""
    ended = generation.job is None or generation.job.state.is_final
    if dataset is None or generation.model_id is None or not ended or not generation.takes_done:
        return ""
    return next((split for split in ("validation", "test") if _pieces_of(dataset, split)), "")


def get_evaluation(session: Session, evaluation_id: int) -> Evaluation:
    """One evaluation with its job, model and dataset.

    Raises:
        NotFoundError: there is none of this number.
    """
    evaluation = session.scalar(_whole().where(Evaluation.id == evaluation_id))
    if evaluation is None:
        raise NotFoundError(f"There is no evaluation {evaluation_id}.")
    return evaluation


def find_evaluations(
    session: Session, *, model_id: int | None = None, page: int = 1, per_page: int = 50
) -> Page[Evaluation]:
    """All evaluations, or those of one model, the newest first."""
    statement = _whole().order_by(Evaluation.id.desc())
    if model_id is not None:
        statement = statement.where(Evaluation.model_id == model_id)
    return fetch_page(session, statement, page=page, per_page=per_page)


def latest_evaluations(session: Session, model_ids: Iterable[int]) -> dict[int, Evaluation]:
    """The newest finished evaluation of each model, by the model's number."""
    newest = (
        select(func.max(Evaluation.id))
        .where(Evaluation.model_id.in_(list(model_ids)), Evaluation.finished_at.is_not(None))
        .group_by(Evaluation.model_id)
    )
    return {row.model_id: row for row in session.scalars(_whole().where(Evaluation.id.in_(newest)))}


def delete_evaluation(database: Database, store: ArtifactStore, evaluation_id: int) -> None:
    """Delete an evaluation, and the takes that were made for it alone.

    Raises:
        NotFoundError: there is none of this number.
        ConflictError: it is queued or running.
    """
    folder = ""
    with database.exclusive() as session:
        if locked(session, Evaluation, evaluation_id) is None:
            raise NotFoundError(f"There is no evaluation {evaluation_id}.")
        evaluation = get_evaluation(session, evaluation_id)
        if evaluation.job is not None and not evaluation.job.state.is_final:
            raise ConflictError(
                f"The evaluation is {evaluation.job.state.value}; cancel job {evaluation.job.id} first."
            )
        model_id, generation = evaluation.model_id, _made_for_it_alone(session, evaluation)
        session.delete(evaluation)
        if generation is not None:
            folder = f"generations/{generation.id}/"
            session.delete(generation)
        announce(session, f"model:{model_id}", "evaluations")
    # Rows first, as everywhere: files without rows are swept.
    if folder:
        store.delete(folder)


def _made_for_it_alone(session: Session, evaluation: Evaluation) -> Generation | None:
    """The takes that it measures, if they were made for an evaluation of its owner and no other one measures them."""
    generation = evaluation.generation
    if generation is None or generation.purpose != PURPOSE or generation.owner != evaluation.owner:
        return None
    others = select(Evaluation.id).where(Evaluation.generation_id == generation.id, Evaluation.id != evaluation.id)
    return generation if session.scalar(others.limit(1)) is None else None


def can_be_measured_on() -> ColumnElement[bool]:
    """The condition of datasets that are ready and have held-out pieces."""
    pieces = (Dataset.statistics["splits", name, "pieces"].as_integer() for name in ("validation", "test"))
    return and_(Dataset.ready, or_(*(count > 0 for count in pieces)))


def _whole() -> Select[Evaluation]:
    return select(Evaluation).options(
        joinedload(Evaluation.job), joinedload(Evaluation.model), joinedload(Evaluation.dataset),
        joinedload(Evaluation.generation),
    )  # fmt: skip


def _dataset_for(session: Session, model: Model, dataset_id: int | None, split: str) -> Dataset:
    if dataset_id is None:
        own = trained_on(session, model.id)
        if own is None:
            raise InputError.of(
                "dataset_id", "dataset_id: a value is required; nobody here knows what this model was trained on."
            )
        dataset_id = own.id
    dataset = ready_dataset(session, dataset_id)
    if not _pieces_of(dataset, split):
        raise InputError.of("split", f"split: {dataset.name!r} has no {split} piece; choose the other split.")
    return dataset


def _generation_of(session: Session, model: Model, generation_id: int) -> Generation:
    found = kept(session, Generation, generation_id)
    if found is None or not acting(session).may_see(found.owner):
        raise InputError.of("generation_id", f"generation_id: there is no generation {generation_id}.")
    generation = get_generation(session, generation_id)
    if generation.model_hash != model.content_hash:
        raise InputError.of(
            "generation_id", f"generation_id: {generation.name!r} was made by {generation.model_name!r}, another model."
        )
    if generation.job is not None and generation.job.state in {JobState.QUEUED, JobState.RUNNING}:
        raise ConflictError(f"The generation {generation.name!r} is still being made; wait until it has ended.")
    if not generation.takes_done:
        raise InputError.of("generation_id", f"generation_id: {generation.name!r} has no take.")
    return generation


def _pieces_of(dataset: Dataset, split: str) -> int:
    return int(dataset.statistics.get("splits", {}).get(split, {}).get("pieces", 0))
