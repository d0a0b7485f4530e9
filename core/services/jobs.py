"""Jobs: list, look up, retry. Cancelling, pausing and resuming are `core.queue.control`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import ConflictError, NotFoundError
from core.models.datasets import Dataset
from core.models.evaluations import Evaluation
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobLog, JobState, Unit, UnitState
from core.models.trainings import Training
from core.people.sight import sight_of
from core.queue.control import locked_job
from core.queue.enqueue import enqueue
from core.records.database import announce
from core.services.job_filters import JobFilter
from core.services.keeping import locked_training
from core.services.models import model_for
from core.services.paging import Page, fetch_page
from core.services.rows import kept, locked


def find_jobs(
    session: Session,
    *,
    state: str = "",
    kind: str = "",
    queue: str = "",
    owner: str = "",
    search: str = "",
    page: int = 1,
    per_page: int = 50,
) -> Page[Job]:
    """Jobs that fit the filters of a `JobFilter`, the newest first.

    Raises:
        InputError: an unknown state, kind or queue.
    """
    found = JobFilter(state, kind, queue, owner, search).apply(select(Job))
    sight = sight_of(session)
    if sight is not None and (owner or search.strip()):
        # Rows without words must not be found by their words.
        found = found.where(Job.owner == sight.name)
    return fetch_page(session, found.order_by(Job.id.desc()), page=page, per_page=per_page)


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


def retry_job(session: Session, job_id: int) -> Job:
    """Queue a failed or cancelled job once more, as a new job that points at it and goes on where it stopped.

    Takes that exist stay, and a training goes on from its last resume point. The owner stays too, whoever asks.

    Raises:
        ConflictError: the job has not ended in failure or cancellation, or what it worked on is gone.
    """
    # Locked: of two who retry at once the second finds the job of the first.
    job = locked_job(session, job_id)
    if job.state not in {JobState.FAILED, JobState.CANCELLED}:
        raise ConflictError(f"Job {job.id} is {job.state.value}; only failed and cancelled jobs can be tried again.")
    again = session.scalar(select(Job.id).where(Job.retry_of_id == job.id).order_by(Job.id.desc()).limit(1))
    if again is not None:
        raise ConflictError(f"Job {job.id} was tried again already, as job {again}.")
    progress_done = _lock_subject(session, job)
    unfinished = select(Unit).where(Unit.job_id == job.id, Unit.state != UnitState.DONE).order_by(Unit.index)
    units = session.scalars(unfinished).all()
    new = enqueue(
        session,
        kind=job.kind,
        queue=job.queue,
        title=job.title,
        owner=job.owner,
        payloads=[unit.payload for unit in units],
        work=sum(unit.work for unit in units),
        request=job.request,
        priority=job.priority,
        progress_total=job.progress_total,
        progress_unit=job.progress_unit,
        retry_of=job.id,
    )
    new.progress_done = progress_done
    for table in (Dataset, Training, Generation, Evaluation):
        session.execute(update(table).where(table.job_id == job.id).values(job_id=new.id))
    announce(session, f"job:{job.id}", f"{job.request.get('subject', 'job')}:{job.request.get('subject_id', job.id)}")
    return new


def _lock_subject(session: Session, job: Job) -> float:
    """Keep what the job works on from being deleted at this moment; the progress that is there already.

    Raises:
        ConflictError: it, or what it is made of, is gone.
    """
    kind, number = job.request.get("subject", ""), int(job.request.get("subject_id", 0))
    gone = ConflictError(f"Job {job.id} cannot be tried again: what it worked on was deleted.")
    if kind == "generation":
        generation = locked(session, Generation, number)
        if generation is None:
            raise gone
        # A model that was deleted and uploaded again is another row with the same content.
        generation.model_id = model_for(session, generation).id
        return float(generation.takes_done)
    if kind == "training":
        try:
            training, dataset = locked_training(session, number)
        except NotFoundError:
            raise gone from None
        if dataset is None:
            raise ConflictError(f"Job {job.id} cannot be tried again: the dataset of this training was deleted.")
        return float(training.resume_step if training.resume_key else 0)
    if kind == "evaluation":
        evaluation = locked(session, Evaluation, number)
        if evaluation is None:
            raise gone
        if evaluation.dataset_id is None or kept(session, Dataset, evaluation.dataset_id) is None:
            raise ConflictError(f"Job {job.id} cannot be tried again: the dataset of this evaluation was deleted.")
    tables: dict[str, type[Dataset] | type[Take]] = {"dataset": Dataset, "take": Take}
    if kind in tables and locked(session, tables[kind], number) is None:
        raise gone
    return 0.0
