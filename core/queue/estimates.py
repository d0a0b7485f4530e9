"""When a job will start and end: ranges from what jobs of its kind have really taken.

Workers share a queue's work as the claim does: higher priorities first, then owners in turns. So until an owner has
been served `s` seconds, each other owner of the same priority has been served at most as many, and one unit more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.models.jobs import Job, JobKind, JobState, Queue, Unit, UnitState
from core.models.workers import Worker, WorkerState

# Of this many jobs of a kind, the latest, the first few units are looked at.
_JOBS, _UNITS = 30, 8
# With fewer samples than these, what has been seen says little about the extremes.
_ENOUGH = 5
_FEW, _MANY = 1.6, 1.15
# A training tells its own time left from its speed; evaluations and early stopping make that a range.
_TOLD_LOW, _TOLD_HIGH = 0.8, 1.3
# Beyond this, the answer would cost more than it is worth.
_MOST_JOBS = 5_000


@dataclass(frozen=True, slots=True)
class Span:
    """A time in seconds from now, as a range that should hold it."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a job starts (0 to 0 when it runs) and when it is done."""

    starts: Span
    done: Span


@dataclass(frozen=True, slots=True)
class _Open:
    """What is left of one open job; amounts in seconds, as (low, high) of one worker's time."""

    job_id: int
    owner: str
    rank: tuple[float, float, int]
    waiting: Span
    running: Span
    unit: float
    units: int


def forecasts(session: Session, queue: Queue) -> dict[int, Forecast]:
    """The forecast of each open job of a queue that is not held; of none, when nothing is known to tell it from."""
    workers = _workers(session, queue)
    rows = _open_jobs(session, queue)
    if not workers or not rows:
        return {}
    jobs = [job for job in rows if job is not None]
    if len(jobs) < len(rows):
        return {}  # Of something in the queue nobody knows how long it takes, so of nothing else either.
    return {job.job_id: _forecast(job, jobs, workers) for job in jobs}


class Measured:
    """What work of each kind has taken lately; asks the database once for each kind."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rates: dict[JobKind, list[tuple[str, float]]] = {}

    def seconds_per_work(self, kind: JobKind, like: str = "") -> Span | None:
        """Seconds that a unit of work takes; of jobs with the same `rate_key` as far as there are any."""
        if kind not in self._rates:
            self._rates[kind] = _rates(self._session, kind)
        found = self._rates[kind]
        rates = sorted([rate for key, rate in found if like and key == like] or [rate for _, rate in found])
        if not rates:
            return None
        if len(rates) < _ENOUGH:
            return Span(rates[0] / _FEW, rates[-1] * _FEW)
        cut = len(rates) // 10
        return Span(rates[cut] / _MANY, rates[-1 - cut] * _MANY)


def rate_key(request: dict[str, Any]) -> str:
    """What jobs have in common that take alike: the model that composes, the family that trains."""
    return str(request.get("rate_key") or request.get("model_id") or "")


def _rates(session: Session, kind: JobKind) -> list[tuple[str, float]]:
    """The `rate_key` and the seconds per unit of work of each of the latest jobs of a kind that succeeded."""
    latest = (
        select(Job.id, Job.request)
        .where(Job.kind == kind, Job.state == JobState.SUCCEEDED)
        .order_by(Job.id.desc())
        .limit(_JOBS)
    )
    recent = {row.id: rate_key(row.request) for row in session.execute(latest)}
    rows = session.execute(
        select(Unit.job_id, Unit.claimed_at, Unit.finished_at, Unit.work).where(
            Unit.job_id.in_(list(recent)), Unit.state == UnitState.DONE, Unit.index < _UNITS
        )
    )
    sums: dict[int, tuple[float, float]] = {}
    for job_id, claimed, finished, work in rows:
        if claimed is not None and finished is not None and work > 0:
            seconds, amount = sums.get(job_id, (0.0, 0.0))
            sums[job_id] = (seconds + max((finished - claimed).total_seconds(), 0.0), amount + work)
    return [(recent[job_id], seconds / amount) for job_id, (seconds, amount) in sums.items()]


def _workers(session: Session, queue: Queue) -> int:
    working = [WorkerState.READY, WorkerState.BUSY]
    rows = session.scalars(select(Worker).where(Worker.state.in_(working), Worker.draining.is_(False)))
    return sum(queue.value in worker.queues for worker in rows)


def _open_jobs(session: Session, queue: Queue) -> list[_Open | None]:
    """Jobs with a unit that waits or runs; None for each whose time nobody knows."""
    counts = (
        select(Unit.job_id, Unit.state, func.sum(Unit.work).label("work"), func.count().label("units"))
        .where(Unit.queue == queue, Unit.state.in_((UnitState.WAITING, UnitState.RUNNING)))
        .group_by(Unit.job_id, Unit.state)
        .limit(2 * _MOST_JOBS)
    )
    parts: dict[int, dict[UnitState, tuple[float, int]]] = {}
    for job_id, state, work, units in session.execute(counts):
        parts.setdefault(job_id, {})[state] = (float(work), units)
    if len(parts) > _MOST_JOBS:
        return []
    columns = (Job.id, Job.owner, Job.priority, Job.position, Job.kind, Job.request, Job.seconds_left)
    measured = Measured(session)
    found: list[_Open | None] = []
    open_jobs = select(*columns).where(Job.queue == queue, Job.state.in_((JobState.QUEUED, JobState.RUNNING)))
    rows = session.execute(open_jobs)
    for row in rows:
        if row.id not in parts:
            continue
        found.append(_open_job(row, parts[row.id], measured.seconds_per_work(row.kind, rate_key(row.request))))
    return found


def _open_job(row: Any, parts: dict[UnitState, tuple[float, int]], rate: Span | None) -> _Open | None:
    waiting, waiting_units = parts.get(UnitState.WAITING, (0.0, 0))
    running, running_units = parts.get(UnitState.RUNNING, (0.0, 0))
    told = row.seconds_left if running_units == 1 and not waiting_units else None
    if told is not None:
        left = Span(told * _TOLD_LOW, told * _TOLD_HIGH)
    elif rate is None:
        return None
    else:
        # How far the units that run have come is not known here: between just begun and almost done.
        left = Span(0.0, running * rate.high)
    rate = rate or Span(0.0, 0.0)
    units = waiting_units + running_units
    return _Open(
        job_id=row.id,
        owner=row.owner,
        rank=(-row.priority, row.position, row.id),
        waiting=Span(waiting * rate.low, waiting * rate.high),
        running=left,
        unit=(waiting + running) * rate.high / units,
        units=units,
    )


def _forecast(job: _Open, jobs: list[_Open], workers: int) -> Forecast:
    if job.running.high > 0 and job.waiting.high == 0:
        return Forecast(Span(0.0, 0.0), job.running)
    others = [each for each in jobs if each.job_id != job.job_id]
    starts = Span(*(_served(job, others, workers, 0.0, high=high) for high in (False, True)))
    if job.running.high > 0:
        starts = Span(0.0, 0.0)
    elif starts.high == 0 and len({each.job_id for each in others if each.running.high > 0}) >= workers:
        starts = Span(0.0, max(each.running.high for each in others))
    # Units of one job run side by side, but a single one on a single worker.
    lanes = min(workers, job.units)
    low = max(_served(job, others, workers, job.waiting.low, high=False), starts.low + job.waiting.low / lanes)
    high = _served(job, others, workers, job.waiting.high, high=True) + job.running.high / workers
    return Forecast(starts, Span(low, max(high, starts.high + job.waiting.high / lanes + job.unit * (lanes > 1))))


def _served(job: _Open, others: list[_Open], workers: int, own_seconds: float, *, high: bool) -> float:
    """Seconds until the owner has got what comes before `job`, and `own_seconds` of the job itself.

    With `high` each worker is busy with something at first, and each other owner gets a unit more than its share.
    """

    def amount(span: Span) -> float:
        return span.high if high else span.low

    before = own_seconds + sum(
        amount(each.waiting) for each in others if each.owner == job.owner and each.rank < job.rank
    )
    above = sum(amount(each.waiting) for each in others if each.owner != job.owner and each.rank[0] < job.rank[0])
    beside: dict[str, float] = {}
    turn: dict[str, float] = {}
    for each in others:
        if each.owner != job.owner and each.rank[0] == job.rank[0]:
            beside[each.owner] = beside.get(each.owner, 0.0) + amount(each.waiting)
            turn[each.owner] = max(turn.get(each.owner, 0.0), each.unit if high else 0.0)
    total = before + above + sum(min(seconds, before + turn[owner]) for owner, seconds in beside.items())
    longest = max((each.unit for each in others), default=0.0)
    if not high:
        # Other workers may still be at what came before when the job's turn comes.
        return max(total / workers - (longest if workers > 1 else 0.0), 0.0)
    running = [each for each in others if each.running.high > 0]
    if total == own_seconds and len(running) < workers:
        return total / workers
    return (total + sum(each.running.high for each in running)) / workers + longest
