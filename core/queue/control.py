"""What people do to a job: cancel, pause, resume, start later. Trying again is `core.services.jobs.retry_job`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import ConflictError, NotFoundError
from core.models.jobs import Job, JobState, Unit, UnitState
from core.queue.lifecycle import cancel_waiting, settle
from core.queue.logs import log


def cancel(session: Session, job_id: int) -> Job:
    """End a job: at once when nothing of it runs, else as soon as its workers see the flag. Twice is no error.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: the job has ended already.
    """
    job = _open_job(session, job_id, "cancelled")
    job.cancel_requested = True
    cancel_waiting(session, job_id)
    settle(session, job)
    return job


def pause(session: Session, job_id: int) -> Job:
    """Hold what waits of a job; what runs stops at its next resume point. Twice is no error.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: the job has ended, or is being cancelled.
    """
    job = _open_job(session, job_id, "paused")
    if job.cancel_requested:
        raise ConflictError(f"Job {job_id} is being cancelled, so it cannot be paused.")
    job.paused = True
    _move(session, job_id, UnitState.WAITING, UnitState.HELD)
    settle(session, job)
    return job


def resume(session: Session, job_id: int) -> Job:
    """Let a paused job wait for its turn again (send a ticket after the commit). Twice is no error.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: the job has ended.
    """
    job = _open_job(session, job_id, "resumed")
    job.paused = False
    if job.not_before is None:
        _move(session, job_id, UnitState.HELD, UnitState.WAITING)
    settle(session, job)
    return job


def start_at(session: Session, job_id: int, moment: datetime | None) -> Job:
    """Hold what waits of a job until `moment`, or let it wait for its turn from now on with None.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: the job runs or has ended.
    """
    job = _open_job(session, job_id, "given another time to start")
    if job.state is JobState.RUNNING and moment is not None:
        raise ConflictError(f"Job {job_id} has started already; pause it instead.")
    job.not_before = moment
    if moment is not None:
        _move(session, job_id, UnitState.WAITING, UnitState.HELD)
    elif not job.paused:
        _move(session, job_id, UnitState.HELD, UnitState.WAITING)
    settle(session, job)
    return job


def anything_due(session: Session, now: datetime) -> bool:
    """Whether the time of any job has come; one look into a small index."""
    due = select(Job.id).where(Job.not_before.is_not(None), Job.not_before <= now).limit(1)
    return session.scalar(due) is not None


def start_due(session: Session, now: datetime) -> list[int]:
    """Let the jobs whose time has come wait for their turn; their numbers. For the maintenance process alone.

    Only its clock decides, so that hosts whose clocks differ agree.
    """
    due = session.scalars(select(Job.id).where(Job.not_before.is_not(None), Job.not_before <= now).order_by(Job.id))
    started = []
    for job_id in due.all():
        job = locked_job(session, job_id)
        if job.not_before is None or job.not_before > now:
            continue
        job.not_before = None
        if not job.state.is_final:
            if not job.paused:
                _move(session, job_id, UnitState.HELD, UnitState.WAITING)
            log(session, job_id, "The time to start has come.")
            settle(session, job)
            started.append(job_id)
    return started


def locked_job(session: Session, job_id: int) -> Job:
    """The job as it is now, locked until the transaction ends.

    Raises:
        NotFoundError: there is no such job.
    """
    job = session.scalars(
        select(Job).where(Job.id == job_id).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()
    if job is None:
        raise NotFoundError(f"There is no job {job_id}.")
    return job


def _open_job(session: Session, job_id: int, done: str) -> Job:
    job = locked_job(session, job_id)
    if job.state.is_final:
        raise ConflictError(f"Job {job_id} is {_standing(job)} already, so it cannot be {done}.")
    return job


def _standing(job: Job) -> str:
    names = {JobState.SUCCEEDED: "done", JobState.FAILED: "failed", JobState.CANCELLED: "cancelled"}
    if job.state in names:
        return names[job.state]
    return "paused" if job.paused else job.state.value


def _move(session: Session, job_id: int, old: UnitState, new: UnitState) -> None:
    session.execute(
        update(Unit)
        .where(Unit.job_id == job_id, Unit.state == old)
        .values(state=new)
        .execution_options(synchronize_session=False)
    )
