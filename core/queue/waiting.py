"""Why a job waits, and how much waits where."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from core.models.base import utc_now
from core.models.jobs import Job, JobState, OwnerTurn, Queue, Unit, UnitState
from core.models.queues import QueueControl
from core.models.workers import Worker, WorkerState
from core.queue.limits import gpu_sentence, limits_of
from core.queue.usage import count_running, gpu_hours

# Beyond this many the exact number helps nobody.
_MOST_COUNTED = 1000
_WORKING = frozenset({WorkerState.READY, WorkerState.BUSY})


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Open units of one queue, and the workers that serve it (ready or busy, not drained)."""

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
    if job.not_before is not None:
        return f"starts on {job.not_before:%Y-%m-%d} at {job.not_before:%H:%M} UTC"
    return _why_not_served(session, job) or _why_held_back(session, job) or _why_its_turn_has_not_come(session, job)


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
        if worker.state in _WORKING and not worker.draining:
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


def _why_not_served(session: Session, job: Job) -> str:
    control = session.get(QueueControl, job.queue)
    if control is not None and control.paused:
        return f"the queue '{job.queue}' is paused"
    serving = [worker for worker in _workers(session) if job.queue.value in worker.queues]
    states = {worker.state for worker in serving if not worker.draining}
    if states & _WORKING:
        return ""
    loading = [worker for worker in serving if worker.state is WorkerState.STARTING and not worker.draining]
    if loading:
        return _why_loading(loading)
    if WorkerState.STOPPING in states:
        return f"the workers of the queue '{job.queue}' are stopping"
    if serving:
        return f"the workers of the queue '{job.queue}' are drained and take nothing new"
    return f"no worker serves the queue '{job.queue}'"


def _why_loading(loading: list[Worker]) -> str:
    if any(not worker.problem for worker in loading):
        return "its worker is loading"
    return f"the worker '{loading[0].name}' cannot load what it needs; the page of workers says why"


def _why_held_back(session: Session, job: Job) -> str:
    limits = limits_of(session, job.owner)
    running = count_running(session).get(job.owner, 0)
    if limits.running_units is not None and running >= limits.running_units:
        return f"{job.owner} runs {running:,} of at most {limits.running_units:,} units at a time"
    turn = session.get(OwnerTurn, (job.queue, job.owner))
    if turn is not None and turn.blocked and limits.gpu_hours_week is not None:
        hours, free_at = gpu_hours(session, [job.owner])[job.owner]
        return gpu_sentence(job.owner, hours, limits.gpu_hours_week, free_at).rstrip(".")
    return ""


def _why_its_turn_has_not_come(session: Session, job: Job) -> str:
    own, others = jobs_before(session, job)
    parts = []
    if others:
        parts.append(f"{_number(others)} {'job' if others == 1 else 'jobs'} of others")
    if own:
        parts.append(f"{_number(own)} of {job.owner}'s own{'' if others else ' jobs'}")
    if parts:
        return " and ".join(parts) + " before it"
    idle = any(
        worker.state is WorkerState.READY and job.queue.value in worker.queues and not worker.draining
        for worker in _workers(session)
    )
    return "next" if idle else f"the workers of the queue '{job.queue}' are busy"


def _number(count: int) -> str:
    return f"{count:,}" if count <= _MOST_COUNTED else f"more than {_MOST_COUNTED:,}"


def _workers(session: Session) -> list[Worker]:
    return list(session.scalars(select(Worker).where(Worker.state != WorkerState.GONE)))


def jobs_before(session: Session, job: Job) -> tuple[int, int]:
    """Jobs that will start, or go on, before `job`: of its owner, and of others.

    Owners take turns, so of another owner at the same priority there come before it as many as of its own, and one more
    when that owner's turn is before its owner's.
    """
    waits = select(Unit.id).where(Unit.job_id == Job.id, Unit.state == UnitState.WAITING).exists()
    first = (Job.position < job.position) | ((Job.position == job.position) & (Job.id < job.id))
    above = Job.priority > job.priority
    rows = session.execute(
        select(Job.owner, above, func.count())
        .where(Job.queue == job.queue, Job.state.in_((JobState.QUEUED, JobState.RUNNING)), Job.id != job.id, waits)
        .where(above | ((Job.priority == job.priority) & ((Job.owner != job.owner) | first)))
        .group_by(Job.owner, above)
    ).all()
    own = sum(count for owner, _, count in rows if owner == job.owner)
    turns = _turns(session, job.queue)
    mine = turns.get(job.owner, (0, 0))
    others = 0
    for owner, is_above, count in rows:
        if owner != job.owner:
            earlier = (*turns.get(owner, (0, 0)), owner) < (*mine, job.owner)
            others += count if is_above else min(count, own + earlier)
    return own, others


def _turns(session: Session, queue: Queue) -> dict[str, tuple[int, int]]:
    """Of each owner that a queue knows: its running units, and when it was last served, as the claim compares them."""
    rows = session.execute(select(OwnerTurn.owner, OwnerTurn.served).where(OwnerTurn.queue == queue))
    running = count_running(session, queue)
    return {owner: (running.get(owner, 0), served) for owner, served in rows}
