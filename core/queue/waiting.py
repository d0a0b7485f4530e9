"""Why a job waits, and how much waits where."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from core.models.base import utc_now
from core.models.jobs import Job, JobState, Queue, Unit, UnitState
from core.models.workers import Worker, WorkerState

# Beyond this many the exact number helps nobody, and counting it would cost.
_MOST_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Open units of one queue, and the workers that serve it (ready or busy)."""

    waiting: int
    held: int
    running: int
    workers: int


def why_waiting(session: Session, job: Job) -> str:
    """Why nothing of `job` runs, as words without a full stop; empty when it runs or has ended."""
    if job.state is not JobState.QUEUED:
        return ""
    if job.paused:
        return "paused"
    states = {worker.state for worker in _workers(session) if job.queue.value in worker.queues}
    if not states & {WorkerState.READY, WorkerState.BUSY}:
        return _why_nobody(job, states)
    before = _jobs_before(session, job)
    if before:
        number = f"{before:,}" if before <= _MOST_COUNTED else f"more than {_MOST_COUNTED:,}"
        return f"{number} {'job' if before == 1 else 'jobs'} before it"
    return "next" if WorkerState.READY in states else f"the workers of the queue '{job.queue}' are busy"


def queue_counts(session: Session) -> dict[Queue, QueueCounts]:
    """Open units and serving workers of every queue."""
    rows = session.execute(
        select(Unit.queue, Unit.state, func.count())
        .where(Unit.queue.in_(list(Queue)), Unit.state.in_((UnitState.WAITING, UnitState.HELD, UnitState.RUNNING)))
        .group_by(Unit.queue, Unit.state)
    ).all()
    units = {(queue, state): count for queue, state, count in rows}
    serving: dict[str, int] = {}
    for worker in _workers(session):
        if worker.state in {WorkerState.READY, WorkerState.BUSY}:
            for name in worker.queues:
                serving[name] = serving.get(name, 0) + 1
    return {
        queue: QueueCounts(
            waiting=units.get((queue, UnitState.WAITING), 0),
            held=units.get((queue, UnitState.HELD), 0),
            running=units.get((queue, UnitState.RUNNING), 0),
            workers=serving.get(queue.value, 0),
        )
        for queue in Queue
    }


def oldest_waiting_seconds(session: Session) -> dict[Queue, float]:
    """How long the oldest job with a waiting unit has been there, s, for each queue where one waits."""
    waits = exists().where(Unit.job_id == Job.id, Unit.state == UnitState.WAITING)
    rows = session.execute(
        select(Job.queue, func.min(Job.created_at))
        .where(Job.state.in_((JobState.QUEUED, JobState.RUNNING)), waits)
        .group_by(Job.queue)
    ).all()
    now = utc_now()
    # Clocks of hosts may differ: nothing has waited for less than no time.
    return {queue: max((now - since).total_seconds(), 0.0) for queue, since in rows}


def _why_nobody(job: Job, states: set[WorkerState]) -> str:
    if WorkerState.STARTING in states:
        return "its worker is loading"
    if WorkerState.STOPPING in states:
        return f"the workers of the queue '{job.queue}' are stopping"
    return f"no worker serves the queue '{job.queue}'"


def _workers(session: Session) -> list[Worker]:
    return list(session.scalars(select(Worker).where(Worker.state != WorkerState.GONE)))


def _jobs_before(session: Session, job: Job) -> int:
    # Jobs of others interleave with this owner's, so this is a measure of the queue's length, not an exact place.
    waiting = (
        select(Job.id)
        .where(
            Job.queue == job.queue,
            Job.state == JobState.QUEUED,
            Job.paused.is_(False),
            (Job.priority > job.priority) | ((Job.priority == job.priority) & (Job.id < job.id)),
        )
        .limit(_MOST_COUNTED + 1)
    )
    return session.scalar(select(func.count()).select_from(waiting.subquery())) or 0
