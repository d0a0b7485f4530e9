"""What people do to a job: cancel, pause, resume. Trying again is `core.services.jobs.retry_job`."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import ConflictError, NotFoundError
from core.models.jobs import Job, JobState, Unit, UnitState
from core.queue.lifecycle import cancel_waiting, settle


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
    _move(session, job_id, UnitState.HELD, UnitState.WAITING)
    settle(session, job)
    return job


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
