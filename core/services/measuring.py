"""Which evaluation is under way, for those who would delete what it needs."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.evaluations import Evaluation
from core.models.jobs import Job, JobState


def job_measuring(session: Session, *, model_id: int | None = None, dataset_id: int | None = None) -> Job | None:
    """A queued or running evaluation of a model, or on a dataset, which therefore cannot be deleted."""
    statement = (
        select(Job)
        .join(Evaluation, Evaluation.job_id == Job.id)
        .where(Job.state.in_([JobState.QUEUED, JobState.RUNNING]))
    )
    if model_id is not None:
        statement = statement.where(Evaluation.model_id == model_id)
    if dataset_id is not None:
        statement = statement.where(Evaluation.dataset_id == dataset_id)
    return session.scalar(statement.limit(1))
