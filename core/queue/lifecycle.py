"""What becomes of a running unit, and of its job with it.

Every function that writes for a running unit names its attempt and is refused once the unit has moved on. Rows are
locked in one order (job, then unit); the guard of a task's own transactions locks the unit alone, which is why
`save_progress` looks at the unit without locking it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypedDict

from sqlalchemy import BindParameter, Row, bindparam, exists, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from core.errors import SupersededError
from core.models.base import Base, utc_now
from core.models.jobs import Job, JobState, Unit, UnitState
from core.notifications.outbox import note_end
from core.records.database import announce, topics_of

_BY_ID: BindParameter[int] = bindparam("id")
_STANDING = [
    exists().where(Unit.job_id == _BY_ID, Unit.state.in_(states)).label(name)
    for name, states in {
        "running": (UnitState.RUNNING,),
        "waiting": (UnitState.WAITING, UnitState.HELD),
        "done": (UnitState.DONE,),
        "failed": (UnitState.FAILED,),
        "cancelled": (UnitState.CANCELLED,),
    }.items()
]
_STANDING_OF_JOB = select(*_STANDING)
_JOB_AND_STANDING = select(Job, *_STANDING).where(Job.id == _BY_ID).execution_options(populate_existing=True)
# Statements on the table itself: their unit is known by its number, so the mapped class would only add work.
_WHILE_RUNNING = update(Base.metadata.tables[Unit.__tablename__]).where(
    Unit.id == bindparam("of_unit"), Unit.attempt == bindparam("of_attempt"), Unit.state == UnitState.RUNNING
)
_BEAT = _WHILE_RUNNING.values(beat=Unit.beat + 1).returning(Unit.id)
# In one trip, and yet the job is locked before the unit: the condition on the unit needs the job's row.
_OF_LOCKED_JOB = (
    select(Job.id)
    .where(Job.id == select(Unit.job_id).where(Unit.id == bindparam("of_unit")).scalar_subquery())
    .with_for_update()
)
_FINISH = (
    _WHILE_RUNNING.where(Unit.job_id == _OF_LOCKED_JOB.scalar_subquery())
    .values(state=UnitState.DONE, finished_at=bindparam("now"))
    .returning(Unit.job_id)
)
_LOCK_JOB = (
    select(Job)
    .where(Job.id == select(Unit.job_id).where(Unit.id == _BY_ID).scalar_subquery())
    .with_for_update()
    .execution_options(populate_existing=True)
)


class Progress(TypedDict, total=False):
    """Columns of a job that its running unit may fill; see `core.models.jobs.Job`."""

    phase: str
    progress_done: float
    progress_total: float
    progress_unit: str
    rate: float | None
    rate_unit: str
    seconds_left: float | None
    live: dict[str, Any]


def hold_unit(session: Session, unit_id: int, attempt: int) -> None:
    """Make sure that this attempt still runs the unit, and keep it so until the transaction ends. Also a beat.

    Raises:
        SupersededError: the unit has moved on: nothing of this transaction may be kept.
    """
    if session.connection().execute(_BEAT, {"of_unit": unit_id, "of_attempt": attempt}).first() is None:
        raise _superseded(unit_id, attempt)


def beat(session: Session, unit_id: int, attempt: int) -> None:
    """Show that the unit is alive.

    Raises:
        SupersededError: the unit has moved on.
    """
    hold_unit(session, unit_id, attempt)


def save_progress(session: Session, unit_id: int, attempt: int, progress: Progress) -> None:
    """Show how far the job is; without effect once the unit has moved on."""
    running = select(Unit.job_id).where(Unit.id == unit_id, Unit.attempt == attempt, Unit.state == UnitState.RUNNING)
    job_id = session.scalar(
        update(Job)
        .where(Job.id == running.scalar_subquery())
        .values(**progress)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    if job_id is not None:
        announce(session, *topics_of(job_id))


def mark_progressed(session: Session, unit_id: int, attempt: int) -> None:
    """A resume point or a take was added: earlier strikes are forgiven, and this attempt will never be one.

    Raises:
        SupersededError: the unit has moved on.
    """
    _change(session, unit_id, attempt, progressed=True, strikes=0)


def finish(session: Session, unit_id: int, attempt: int) -> Job:
    """The unit is done; the job has succeeded when all of its units are.

    Raises:
        SupersededError: the unit has moved on.
    """
    return settle_ended(session, finish_unsettled(session, unit_id, attempt))


def finish_unsettled(session: Session, unit_id: int, attempt: int) -> int:
    """The unit is done, and the job of this number, now locked, gets its state by `settle_ended` or by going on.

    Raises:
        SupersededError: the unit has moved on.
    """
    values = {"of_unit": unit_id, "of_attempt": attempt, "now": utc_now()}
    job_id: int | None = session.connection().execute(_FINISH, values).scalar()
    if job_id is None:
        raise _superseded(unit_id, attempt)
    return job_id


def settle_ended(session: Session, job_id: int) -> Job:
    """Give a job that `finish_unsettled` has locked the state that follows from its units."""
    row = session.execute(_JOB_AND_STANDING, {"id": job_id}).one()
    job: Job = row.Job
    _settle(session, job, row)
    return job


def fail(session: Session, unit_id: int, attempt: int, sentence: str, trace: str = "") -> Job:
    """The unit failed for good, and its job with it.

    Units of the job that still wait are cancelled, since they would most often fail for the same reason; those that
    run now go on to their end, and what they add is kept. A retry makes what is missing.

    Raises:
        SupersededError: the unit has moved on.
    """
    job = _end(session, unit_id, attempt, UnitState.FAILED)
    if not job.error:
        job.error, job.error_trace = sentence, trace
    cancel_waiting(session, job.id)
    settle(session, job)
    return job


def release(session: Session, unit_id: int, attempt: int) -> Job:
    """Give the unit back without a strike: waiting, held when its job is paused, cancelled when that was asked.

    Raises:
        SupersededError: the unit has moved on.
    """
    job = lock_job_of(session, unit_id)
    give_back(session, job, unit_id, attempt)
    return job


def give_back(session: Session, job: Job, unit_id: int, attempt: int, strikes: int | None = None) -> None:
    """Put a running unit of a locked job where the job's flags say, with `strikes` when they changed.

    Raises:
        SupersededError: the unit has moved on.
    """
    values: dict[str, Any]
    if job.cancel_requested or job.error:  # an error means that another unit has failed, and the job with it
        values = {"state": UnitState.CANCELLED, "finished_at": utc_now()}
    else:
        waits = UnitState.HELD if job.paused or job.not_before is not None else UnitState.WAITING
        values = {"state": waits, "worker": "", "claimed_at": None, "yield_requested": False}
    if strikes is not None:
        values["strikes"] = strikes
    _change(session, unit_id, attempt, **values)
    settle(session, job)


def lock_job_of(session: Session, unit_id: int) -> Job:
    """The unit's job as it is now, locked until the transaction ends.

    Raises:
        SupersededError: the job was deleted.
    """
    job = session.scalars(_LOCK_JOB, {"id": unit_id}).one_or_none()
    if job is None:
        raise SupersededError(f"Unit {unit_id} was deleted.")
    return job


def cancel_waiting(session: Session, job_id: int) -> None:
    """Cancel what waits or is held of a locked job."""
    session.execute(
        update(Unit)
        .where(Unit.job_id == job_id, Unit.state.in_((UnitState.WAITING, UnitState.HELD)))
        .values(state=UnitState.CANCELLED, finished_at=utc_now())
        .execution_options(synchronize_session=False)
    )


def settle(session: Session, job: Job) -> None:
    """Give a locked job the state that follows from its units, and announce it."""
    _settle(session, job, session.connection().execute(_STANDING_OF_JOB, {"id": job.id}).one())


def _settle(session: Session, job: Job, units: Row[*tuple[Any, ...]]) -> None:
    if units.running:
        job.state = JobState.RUNNING
    elif units.waiting:
        # A job that is partly done and whose next unit waits for its turn stays "running": it is under way.
        job.state = JobState.RUNNING if units.done else JobState.QUEUED
        _forget_speed(job)
    elif not job.state.is_final:
        if units.failed:
            job.state = JobState.FAILED
        elif units.cancelled:
            job.state = JobState.CANCELLED
        else:
            job.state = JobState.SUCCEEDED
            job.progress_done = max(job.progress_done, job.progress_total)
        job.finished_at = utc_now()
        job.paused = False
        _forget_speed(job)
        note_end(session, job)
    session.flush()
    announce(session, *topics_of(job.id))


def _end(session: Session, unit_id: int, attempt: int, state: UnitState) -> Job:
    job = lock_job_of(session, unit_id)
    _change(session, unit_id, attempt, state=state, finished_at=utc_now())
    return job


def _forget_speed(job: Job) -> None:
    # An assignment makes the session look for changes at every end of a unit, so only where there is one.
    if job.rate is not None or job.seconds_left is not None:
        job.rate = job.seconds_left = None


def _change(session: Session, unit_id: int, attempt: int, **values: Any) -> None:
    named = {"of_unit": unit_id, "of_attempt": attempt, **{f"new_{name}": value for name, value in values.items()}}
    if session.connection().execute(_setting(*values), named).first() is None:
        raise _superseded(unit_id, attempt)


@cache
def _setting(*names: str) -> ReturningUpdate[int]:
    """Sets columns to `new_...` while `of_attempt` runs `of_unit`; built once, since building takes longer than use."""
    return _WHILE_RUNNING.values({name: bindparam(f"new_{name}") for name in names}).returning(Unit.id)


def _superseded(unit_id: int, attempt: int) -> SupersededError:
    return SupersededError(
        f"Attempt {attempt} no longer runs unit {unit_id}: it was given to others, ended, or was deleted."
    )
