"""What owners have and use: jobs that wait, units that run, hours of GPU in a week, stored bytes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from core.models.base import utc_now
from core.models.jobs import Job, JobState, Queue, Unit, UnitState
from core.models.queues import UsageDay
from core.models.workers import Worker
from core.queue.claim import Claim
from core.queue.order import Priority
from core.queue.storage import stored_bytes

GPU_QUEUES = (Queue.TRAINING, Queue.GENERATION)
_HOUR_SECONDS = 3600.0
_DAYS = 7


@dataclass(frozen=True, slots=True)
class Usage:
    """What one owner has now; `gpu_hours_free_at` is when the oldest hours of the week begin to fall out of it."""

    waiting_jobs: int
    running_units: int
    gpu_hours_week: float
    gpu_hours_free_at: datetime | None
    storage_bytes: int


def usages_of(session: Session, owners: Sequence[str]) -> dict[str, Usage]:
    """What each of some owners has now, in a number of questions that does not grow with theirs."""
    waiting = count_waiting(session, owners)
    running = count_running(session)
    hours = gpu_hours(session, owners)
    stored = stored_bytes(session, owners)
    return {owner: Usage(waiting[owner], running[owner], *hours[owner], stored[owner]) for owner in owners}


def count_waiting(session: Session, owners: Sequence[str]) -> Counter[str]:
    """Jobs that wait, those that are paused or start later included; answered by the index alone."""
    rows = session.execute(
        select(Job.owner, func.count())
        .where(
            Job.queue.in_(list(Queue)),
            Job.state == JobState.QUEUED,
            Job.priority.in_([int(priority) for priority in Priority]),
            Job.owner.in_(owners),
        )
        .group_by(Job.owner)
    )
    return Counter({str(owner): int(count) for owner, count in rows})


def count_running(session: Session, *queues: Queue) -> Counter[str]:
    """How many units of each owner run now, in some queues or in all."""
    running = select(Unit.owner).where(Unit.queue.in_(queues or tuple(Queue)), Unit.state == UnitState.RUNNING)
    return Counter(session.scalars(running))


def gpu_hours(session: Session, owners: Sequence[str]) -> dict[str, tuple[float, datetime | None]]:
    """GPU hours of the last seven days, today and what runs now included; and when the oldest of them fall out."""
    now = utc_now()
    by_day: dict[str, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    for used in session.scalars(
        select(UsageDay).where(UsageDay.owner.in_(owners), UsageDay.day > now.date() - timedelta(days=_DAYS))
    ):
        by_day[used.owner][used.day] += used.gpu_seconds
    running = session.execute(
        select(Unit.owner, Unit.claimed_at, Unit.queue, Worker.device)
        .join(Worker, Worker.name == Unit.worker)
        .where(Unit.queue.in_(GPU_QUEUES), Unit.state == UnitState.RUNNING, Unit.owner.in_(owners))
        .where(Worker.device.icontains("gpu"))
    )
    for owner, claimed_at, queue, device in running:
        if claimed_at is not None:
            # Clocks of hosts may differ: nobody has used less than nothing.
            by_day[owner][now.date()] += gpus_held(device, queue) * max((now - claimed_at).total_seconds(), 0.0)
    return {owner: (sum(by_day[owner].values()) / _HOUR_SECONDS, _free_at(by_day[owner])) for owner in owners}


def gpus_held(device: str, queue: Queue) -> int:
    """How many GPUs a unit of a queue holds on a worker whose device shows itself as "cpu", "gpu" or "4 gpus".

    Trainings use all that their worker sees, other work the first of them, and the queue light none.
    """
    if queue not in GPU_QUEUES or "gpu" not in device.lower():
        return 0
    count = device.partition(" ")[0]
    return int(count) if queue is Queue.TRAINING and count.isdigit() else 1


def record_gpu_use(session: Session, claim: Claim, device: str, seconds: float) -> None:
    """Add the time for which a unit has held GPUs to the hours of its owner; `device` is its worker's."""
    if held := gpus_held(device, claim.queue):
        add_gpu_seconds(session, claim.owner, held * seconds)


def add_gpu_seconds(session: Session, owner: str, seconds: float) -> None:
    """Add to the GPU hours of an owner's day."""
    session.execute(
        text(
            "INSERT INTO usage_day (owner, day, gpu_seconds) VALUES (:owner, :day, :seconds) "
            "ON CONFLICT (owner, day) DO UPDATE SET gpu_seconds = usage_day.gpu_seconds + excluded.gpu_seconds"
        ).bindparams(owner=owner, day=utc_now().date(), seconds=max(seconds, 0.0))
    )


def _free_at(by_day: dict[date, float]) -> datetime | None:
    first = min((day for day, seconds in by_day.items() if seconds > 0), default=None)
    if first is None:
        return None
    return datetime(first.year, first.month, first.day, tzinfo=UTC) + timedelta(days=_DAYS)
