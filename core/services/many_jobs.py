"""Cancelling and retrying many jobs at once, after their number was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session, aliased

from core.errors import CadenzaError, ConflictError, LimitError
from core.models.base import utc_now
from core.models.jobs import Job, JobState, Unit, UnitState
from core.queue.lifecycle import settle
from core.records.database import Database
from core.services.job_filters import JobFilter
from core.services.jobs import retry_job

# One transaction's share: others get their turn between two of them.
_BATCH = 100
_OPEN = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Retried:
    """Numbers of the new jobs, and a sentence for each job that could not be tried again."""

    jobs: tuple[int, ...]
    refusals: tuple[str, ...]


def count_cancellable(session: Session, which: JobFilter) -> int:
    """How many jobs `cancel_jobs` would cancel now.

    Raises:
        InputError: an unknown state, kind or queue.
    """
    return session.scalar(_cancellable(which).with_only_columns(func.count())) or 0


def count_retryable(session: Session, which: JobFilter) -> int:
    """How many failed jobs `retry_jobs` would try again now.

    Raises:
        InputError: an unknown kind or queue.
    """
    return session.scalar(_retryable(which).with_only_columns(func.count())) or 0


def cancel_jobs(database: Database, which: JobFilter, most: int) -> list[int]:
    """Cancel all open jobs that fit, those first that wait; the numbers of the jobs.

    Args:
        database: where they are.
        which: filters; jobs that have ended are left out.
        most: how many the one who asks was told of; more than these are not touched.

    Raises:
        InputError: an unknown state, kind or queue.
        ConflictError: more jobs fit by now than `most`; nothing is cancelled.
    """
    with database.reading() as session:
        ids = session.scalars(_cancellable(which).order_by(Job.id.desc())).all()
    _refuse_more(len(ids), most, "cancelled")
    cancelled: list[int] = []
    # The newest first: what comes before them would only start for nothing.
    for start in range(0, len(ids), _BATCH):
        with database.transaction() as session:
            cancelled += _cancel(session, ids[start : start + _BATCH])
    return cancelled


def retry_jobs(database: Database, which: JobFilter, most: int) -> Retried:
    """Try all failed jobs that fit again, each as a new job that points at it.

    Raises:
        InputError: an unknown kind or queue.
        ConflictError: more jobs fit by now than `most`; nothing is tried again.
    """
    with database.reading() as session:
        ids = session.scalars(_retryable(which).order_by(Job.id)).all()
    _refuse_more(len(ids), most, "tried again")
    jobs: list[int] = []
    refusals: list[str] = []
    for job_id in ids:
        try:
            with database.transaction() as session:
                jobs.append(retry_job(session, job_id).id)
        except LimitError as error:
            refusals.append(str(error))
            break  # The others would be refused for the same reason.
        except CadenzaError as error:
            refusals.append(str(error))
    return Retried(tuple(jobs), tuple(refusals))


def _cancellable(which: JobFilter) -> Select[Any]:
    return which.apply(select(Job.id).where(Job.state.in_(_OPEN), Job.cancel_requested.is_(False)))


def _retryable(which: JobFilter) -> Select[Any]:
    again = aliased(Job)
    tried = select(again.id).where(again.retry_of_id == Job.id).exists()
    return which.apply(select(Job.id).where(Job.state == JobState.FAILED, ~tried))


def _refuse_more(count: int, most: int, done: str) -> None:
    if count > most:
        raise ConflictError(
            f"{count:,} jobs fit by now, but only {most:,} were asked about; nothing was {done}. Look, and ask again."
        )


def _cancel(session: Session, ids: Sequence[int]) -> list[int]:
    """As `core.queue.control.cancel`, for many jobs in few statements; rows are locked in one order, jobs first."""
    jobs = session.scalars(
        select(Job).where(Job.id.in_(ids), Job.state.in_(_OPEN)).order_by(Job.id).with_for_update()
    ).all()
    for job in jobs:
        job.cancel_requested = True
    session.flush()
    session.execute(
        update(Unit)
        .where(Unit.job_id.in_([job.id for job in jobs]), Unit.state.in_((UnitState.WAITING, UnitState.HELD)))
        .values(state=UnitState.CANCELLED, finished_at=utc_now())
        .execution_options(synchronize_session=False)
    )
    for job in jobs:
        settle(session, job)
    return [job.id for job in jobs]
