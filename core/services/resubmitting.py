"""Submitting a job again with some of its settings changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.errors import ConflictError, InputError
from core.models.generations import Generation
from core.models.jobs import Job
from core.models.trainings import Training
from core.queue.control import cancel, locked_job
from core.services.generations import create_generation
from core.services.models import model_for
from core.services.primers import primer_choice_of
from core.services.trainings import create_training
from core.training.settings import stored_values


def resubmit(
    session: Session,
    store: ArtifactStore,
    job_id: int,
    *,
    changes: Mapping[str, Any],
    name: str = "",
    owner: str = "local",
    cancel_old: bool = False,
) -> Job:
    """Queue what a generation's or a training's job was for once more, with some settings changed, as a new thing.

    Args:
        session: a session of `Database.transaction()`.
        store: where primers are.
        job_id: the job; it stays as it is unless `cancel_old`.
        changes: settings that differ; the others are those of the old one.
        name: of the new one; the old one's name by default.
        owner: of the new one.
        cancel_old: end the old job in the same transaction, so that there is never both or neither.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: it is neither a generation nor a training, or what it worked on is gone.
        InputError: a changed setting is unknown or outside of its range.
    """
    job = locked_job(session, job_id)
    kind, number = job.request.get("subject", ""), int(job.request.get("subject_id", 0))
    if kind == "generation" and (generation := session.get(Generation, number)) is not None:
        new = _generation(session, store, generation, changes, name, owner)
    elif kind == "training" and (training := session.get(Training, number)) is not None:
        new = _training(session, training, changes, name, owner)
    else:
        what = "what it worked on was deleted" if kind in ("generation", "training") else f"it is of kind {job.kind}"
        raise ConflictError(
            f"Job {job_id} cannot be submitted again: {what}; only generations and trainings that are there can."
        )
    if cancel_old and not job.state.is_final:
        cancel(session, job_id)
    if new is None:
        raise ConflictError(f"Job {job_id} cannot be submitted again.")
    return new


def _generation(
    session: Session, store: ArtifactStore, old: Generation, changes: Mapping[str, Any], name: str, owner: str
) -> Job | None:
    if "primer" in changes:
        raise InputError.of("primer", "primer: it stays as it was; submit a new generation to change it.")
    values = dict(old.settings)
    primer = primer_choice_of(values)
    values.pop("primer", None)
    made = create_generation(
        session,
        store,
        model_id=model_for(session, old).id,
        values={**values, **changes},
        primer=primer,
        name=name or old.name,
        owner=owner,
    )
    return made.job or session.get(Job, made.job_id)


def _training(session: Session, old: Training, changes: Mapping[str, Any], name: str, owner: str) -> Job | None:
    if old.dataset_id is None:
        raise ConflictError(f"The training {old.name!r} cannot be submitted again: its dataset was deleted.")
    made = create_training(
        session,
        dataset_id=old.dataset_id,
        family=old.family,
        values={**stored_values(old.family, old.settings), **changes},
        name=name or old.name,
        owner=owner,
        evaluate=old.evaluate,
    )
    return made.job or session.get(Job, made.job_id)
