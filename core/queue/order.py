"""The order of jobs: priorities across owners, and each owner's own order within a priority."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import ConflictError, InputError
from core.models.jobs import Job, JobState, Unit, UnitState
from core.queue.control import locked_job
from core.records.database import announce, topics_of

Direction = Literal["first", "up", "down", "last"]
# Closer than this, the middle between two positions may be one of them.
_CLOSEST = 1e-6
_OPEN = (JobState.QUEUED, JobState.RUNNING)
_UNFINISHED = (UnitState.WAITING, UnitState.HELD, UnitState.RUNNING)


class Priority(IntEnum):
    """Jobs of a higher priority are served before all others, whoever owns them."""

    LOW = -1
    NORMAL = 0
    HIGH = 1

    @classmethod
    def named(cls, name: str) -> Priority:
        """The priority of a name such as "high".

        Raises:
            InputError: there is none of this name.
        """
        try:
            return cls[name.upper()]
        except KeyError:
            raise InputError.of("priority", f"priority: {name[:40]!r} is unknown; allowed are {_NAMES}.") from None


_NAMES = ", ".join(priority.name.lower() for priority in Priority)


def priority_name(priority: int) -> str:
    """`low`, `normal` or `high`."""
    return Priority(max(min(priority, Priority.HIGH), Priority.LOW)).name.lower()


def set_priority(session: Session, job_id: int, priority: Priority) -> Job:
    """Give a job that has not ended another priority; its place among its owner's jobs stays.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: the job has ended.
    """
    job = _open_job(session, job_id, "given another priority")
    _write(session, job, priority=int(priority))
    return job


def move(session: Session, job_id: int, direction: Direction) -> Job:
    """Move a waiting job among its owner's jobs of the same queue and priority; "first" makes it the next.

    A job that runs keeps what it has; "first" comes before the rest of it.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: the job does not wait.
    """
    job = _waiting_job(session, job_id)
    others = _others(session, job)
    place = next((n for n, other in enumerate(others) if _key(other) > _key(job)), len(others))
    target = {"first": 0, "up": max(place - 1, 0), "down": min(place + 1, len(others)), "last": len(others)}[direction]
    if target != place or direction in ("first", "last"):
        _insert(session, job, others, target)
    return job


def move_before(session: Session, job_id: int, other_id: int | None) -> Job:
    """Move a waiting job right before another of its owner's, or behind all of them with None.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: the job does not wait, or the other one is not beside it in the queue (any more).
    """
    job = _waiting_job(session, job_id)
    if other_id == job_id:
        return job
    others = _others(session, job)
    place = len(others)
    if other_id is not None:
        found = [n for n, other in enumerate(others) if other.id == other_id]
        if not found:
            raise ConflictError(
                f"Job {job_id} cannot be put before job {other_id}: that one has ended, "
                "or is of another owner, queue or priority."
            )
        place = found[0]
    _insert(session, job, others, place)
    return job


def _open_job(session: Session, job_id: int, done: str) -> Job:
    job = locked_job(session, job_id)
    if job.state.is_final:
        raise ConflictError(f"Job {job_id} has ended ({job.state.value}), so it cannot be {done}.")
    return job


def _waiting_job(session: Session, job_id: int) -> Job:
    job = _open_job(session, job_id, "moved")
    if job.state is not JobState.QUEUED:
        raise ConflictError(f"Job {job_id} is {job.state.value}; only jobs that wait can be moved.")
    return job


def _others(session: Session, job: Job) -> list[Job]:
    """Open jobs of the same owner, queue and priority in their order, without `job`."""
    statement = (
        select(Job)
        .where(Job.queue == job.queue, Job.state.in_(_OPEN), Job.priority == job.priority, Job.owner == job.owner)
        .where(Job.id != job.id)
        .order_by(Job.position, Job.id)
    )
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def _key(job: Job) -> tuple[float, int]:
    return job.position, job.id


def _insert(session: Session, job: Job, others: list[Job], place: int) -> None:
    if not others:
        return
    before = others[place - 1].position if place > 0 else None
    after = others[place].position if place < len(others) else None
    if before is None or after is None:
        position = float(after or 0.0) - 1.0 if before is None else before + 1.0
    elif after - before >= _CLOSEST:
        position = (before + after) / 2
    else:
        # No room: all of them anew, from where they begin.
        first = others[0].position
        for number, other in enumerate([*others[:place], job, *others[place:]]):
            _write(session, other, position=first + number)
        return
    _write(session, job, position=position)


def _write(session: Session, job: Job, **values: float) -> None:
    for name, value in values.items():
        setattr(job, name, value)
    session.flush()
    session.execute(
        update(Unit)
        .where(Unit.job_id == job.id, Unit.state.in_(_UNFINISHED))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    announce(session, *topics_of(job.id))
