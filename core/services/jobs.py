"""Jobs: list, look up, retry. Cancelling, pausing and resuming are `core.queue.control`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from core.errors import ConflictError, InputError, NotFoundError
from core.models.datasets import Dataset
from core.models.generations import Generation
from core.models.jobs import Job, JobKind, JobLog, JobState, Unit, UnitState
from core.models.trainings import Training
from core.queue.enqueue import enqueue
from core.services.paging import Page, fetch_page


def find_jobs(
    session: Session,
    *,
    state: str = "",
    kind: str = "",
    owner: str = "",
    search: str = "",
    page: int = 1,
    per_page: int = 50,
) -> Page[Job]:
    """Jobs that fit the filters, the newest first. `state` may also be "active" (queued or running) or "paused".

    Raises:
        InputError: an unknown state or kind.
    """
    statement: Select[Job] = select(Job)
    if state == "active":
        statement = statement.where(Job.state.in_([JobState.QUEUED, JobState.RUNNING]))
    elif state == "paused":
        statement = statement.where(Job.paused, Job.state == JobState.QUEUED)
    elif state:
        statement = statement.where(Job.state == _member(JobState, "state", state, ("active", "paused")))
    if kind:
        statement = statement.where(Job.kind == _member(JobKind, "kind", kind))
    if owner:
        statement = statement.where(Job.owner == owner)
    if search.strip():
        statement = statement.where(Job.title.icontains(search.strip(), autoescape=True))
    return fetch_page(session, statement.order_by(Job.id.desc()), page=page, per_page=per_page)


def get_job(session: Session, job_id: int) -> Job:
    """One job.

    Raises:
        NotFoundError: there is none of this number.
    """
    job = session.get(Job, job_id)
    if job is None:
        raise NotFoundError(f"There is no job {job_id}.")
    return job


def job_units(session: Session, job_id: int, limit: int = 200) -> Sequence[Unit]:
    """The first units of a job."""
    return session.scalars(select(Unit).where(Unit.job_id == job_id).order_by(Unit.index).limit(limit)).all()


def job_log(session: Session, job_id: int, after_id: int = 0, limit: int = 500) -> Sequence[JobLog]:
    """Lines of a job's log after `after_id`, the oldest first; the newest `limit` of them."""
    statement = (
        select(JobLog).where(JobLog.job_id == job_id, JobLog.id > after_id).order_by(JobLog.id.desc()).limit(limit)
    )
    return list(reversed(session.scalars(statement).all()))


def retry_job(session: Session, job_id: int, owner: str = "local") -> Job:
    """Queue a failed or cancelled job once more, as a new job that points at it and goes on where it stopped.

    Takes that exist stay, and a training goes on from its last resume point.

    Raises:
        ConflictError: the job has not ended in failure or cancellation, or what it worked on is gone.
    """
    job = get_job(session, job_id)
    if job.state not in {JobState.FAILED, JobState.CANCELLED}:
        raise ConflictError(f"Job {job.id} is {job.state.value}; only failed and cancelled jobs can be tried again.")
    again = session.scalar(select(Job.id).where(Job.retry_of_id == job.id).order_by(Job.id.desc()).limit(1))
    if again is not None:
        raise ConflictError(f"Job {job.id} was tried again already, as job {again}.")
    _check_subject(session, job)
    unfinished = select(Unit.payload).where(Unit.job_id == job.id, Unit.state != UnitState.DONE).order_by(Unit.index)
    done = session.scalar(
        select(func.count()).select_from(Unit).where(Unit.job_id == job.id, Unit.state == UnitState.DONE)
    )
    new = enqueue(
        session,
        kind=job.kind,
        queue=job.queue,
        title=job.title,
        owner=owner,
        payloads=list(session.scalars(unfinished)),
        request=job.request,
        priority=job.priority,
        progress_total=job.progress_total,
        progress_unit=job.progress_unit,
        retry_of=job.id,
    )
    if done:
        new.progress_done = job.progress_done
    for table in (Dataset, Training, Generation):
        session.execute(update(table).where(table.job_id == job.id).values(job_id=new.id))
    return new


def _check_subject(session: Session, job: Job) -> None:
    tables = {"dataset": Dataset, "training": Training, "generation": Generation}
    table = tables.get(job.request.get("subject", ""))
    if table is None:
        return
    subject = session.get(table, job.request["subject_id"])
    if subject is None:
        raise ConflictError(f"Job {job.id} cannot be tried again: what it worked on was deleted.")


def _member(
    cls: type[JobState] | type[JobKind], field: str, value: str, more: tuple[str, ...] = ()
) -> JobState | JobKind:
    try:
        return cls(value)
    except ValueError:
        allowed = ", ".join([member.value for member in cls] + list(more))
        raise InputError.of(field, f"{field}: {value!r} is unknown; allowed are {allowed}.") from None
