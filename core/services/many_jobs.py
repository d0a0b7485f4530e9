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
from core.people.audit import record
from core.queue.lifecycle import settle
from core.records.database import Database
from core.services.job_filters import JobFilter
from core.services.jobs import retry_job

# One transaction's share: others get their turn between two of them.
_BATCH = 100
_OPEN = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Retried:
    """Numbers of the new jobs, and a sentence for each job that could not be tried again.

    `is_full` says that an owner has as much as is allowed, so that the rest was not tried.
    """

    jobs: tuple[int, ...]
    refusals: tuple[str, ...]
    is_full: bool = False


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
    for start in range(0, len(ids), _BATCH):
        with database.transaction() as session:
            part = _retry(session, ids[start : start + _BATCH])
        jobs += part.jobs
        refusals += part.refusals
        if part.is_full:
            break
    return Retried(tuple(jobs), tuple(refusals), is_full=part.is_full) if ids else Retried((), ())


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
    if jobs:
        _record(session, "job.cancel", [job.id for job in jobs])
    return [job.id for job in jobs]


def _retry(session: Session, ids: Sequence[int]) -> Retried:
    """Each behind a savepoint, so that one that is refused takes none of the others with it."""
    tried: list[int] = []
    jobs: list[int] = []
    refusals: list[str] = []
    is_full = False
    for job_id in ids:
        try:
            with session.begin_nested():
                jobs.append(retry_job(session, job_id).id)
            tried.append(job_id)
        except LimitError as error:
            refusals.append(str(error))
            is_full = True  # The others would be refused for the same reason.
            break
        except CadenzaError as error:
            refusals.append(str(error))
    if tried:
        _record(session, "job.retry", tried, new_jobs=_in_words(jobs))
    return Retried(tuple(jobs), tuple(refusals), is_full)


def _record(session: Session, action: str, ids: Sequence[int], **more: Any) -> None:
    """One entry of the audit log for the jobs of one transaction, which names them all."""
    title = f"{len(ids)} jobs" if len(ids) > 1 else f"job {ids[0]}"
    record(session, action, subject="job", title=title, count=len(ids), jobs=_in_words(ids), **more)


def _in_words(ids: Sequence[int]) -> str:
    """Numbers as short as they can be written: `3-7, 12`."""
    runs: list[list[int]] = []
    for number in sorted(ids):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)
