"""The most that one owner may have: jobs that wait, units that run, hours of GPU in a week, stored bytes.

The first, third and fourth are looked at when a job is queued, the second and third when a unit is claimed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from core.errors import LimitError
from core.models.base import utc_now
from core.models.jobs import Job, JobState, OwnerTurn, Queue, Unit, UnitState
from core.models.queues import EVERYBODY, PersonLimit, UsageDay
from core.models.workers import Worker
from core.queue.claim import Claim
from core.queue.order import Priority
from core.queue.storage import stored_bytes
from core.records.database import announce

_HOUR_SECONDS = 3600.0
_DAYS = 7
GPU_QUEUES = (Queue.TRAINING, Queue.GENERATION)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one owner may have at most; None is no limit. `own` tells limits of the owner from those of everybody."""

    waiting_jobs: int | None = None
    running_units: int | None = None
    gpu_hours_week: float | None = None
    storage_bytes: int | None = None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What one owner has now; `gpu_hours_free_at` is when the oldest hours of the week begin to fall out of it."""

    waiting_jobs: int
    running_units: int
    gpu_hours_week: float
    gpu_hours_free_at: datetime | None
    storage_bytes: int


def limits_of(session: Session, owner: str) -> Limits:
    """The limits that hold for an owner."""
    rows = {
        row.owner: row for row in session.scalars(select(PersonLimit).where(PersonLimit.owner.in_([owner, EVERYBODY])))
    }
    row = rows.get(owner) or rows.get(EVERYBODY)
    if row is None:
        return Limits()
    return Limits(
        row.waiting_jobs, row.running_units, row.gpu_hours_week, row.storage_bytes, own=row.owner == owner != EVERYBODY
    )


def usage_of(session: Session, owner: str) -> Usage:
    """What an owner has now."""
    hours, free_at = gpu_hours(session, owner)
    return Usage(
        waiting_jobs=_count_jobs(session, owner),
        running_units=count_running(session).get(owner, 0),
        gpu_hours_week=hours,
        gpu_hours_free_at=free_at,
        storage_bytes=stored_bytes(session, owner),
    )


def check_new_job(session: Session, owner: str, queue: Queue) -> None:
    """Refuse one job more than an owner may have. Submissions of one owner take turns where a limit holds.

    Raises:
        LimitError: naming the limit, what is used of it, and when it frees.
    """
    limits = limits_of(session, owner)
    if limits.waiting_jobs is None and limits.gpu_hours_week is None and limits.storage_bytes is None:
        return
    _take_turns(session, owner)
    if limits.waiting_jobs is not None and (waiting := _count_jobs(session, owner)) >= limits.waiting_jobs:
        raise LimitError(
            f"{owner} has {waiting:,} waiting jobs, and the limit is {limits.waiting_jobs:,}: "
            "it frees with each job that starts or is cancelled."
        )
    if limits.gpu_hours_week is not None and queue in GPU_QUEUES:
        hours, free_at = gpu_hours(session, owner)
        if hours >= limits.gpu_hours_week:
            raise LimitError(gpu_sentence(owner, hours, limits.gpu_hours_week, free_at))
    if limits.storage_bytes is not None and (stored := stored_bytes(session, owner)) >= limits.storage_bytes:
        raise LimitError(
            f"{owner} stores {stored / 2**20:,.1f} MiB, and the limit is {limits.storage_bytes / 2**20:,.1f} MiB: "
            "it frees when generations, models or datasets are deleted."
        )


def gpu_sentence(owner: str, hours: float, limit: float, free_at: datetime | None) -> str:
    """Why an owner gets no GPU now, and when that ends."""
    frees = f"the first of them fall out of the week on {free_at:%Y-%m-%d} at {free_at:%H:%M} UTC"
    if free_at is None:
        frees = "an administrator can raise it"
    return f"{owner} has used {hours:,.1f} GPU hours in the last 7 days, and the limit is {limit:,.1f}: {frees}."


def is_gpu(device: str) -> bool:
    """Whether a worker's device, as it shows itself, is a GPU."""
    return "gpu" in device.lower()


def record_gpu_use(session: Session, claim: Claim, seconds: float) -> None:
    """Add the time for which a unit has held a GPU to the hours of its owner."""
    if claim.queue in GPU_QUEUES:
        add_gpu_seconds(session, claim.owner, seconds)


def add_gpu_seconds(session: Session, owner: str, seconds: float) -> None:
    """Add to the GPU hours of an owner's day."""
    session.execute(
        text(
            "INSERT INTO usage_day (owner, day, gpu_seconds) VALUES (:owner, :day, :seconds) "
            "ON CONFLICT (owner, day) DO UPDATE SET gpu_seconds = usage_day.gpu_seconds + excluded.gpu_seconds"
        ).bindparams(owner=owner, day=utc_now().date(), seconds=max(seconds, 0.0))
    )


def gpu_hours(session: Session, owner: str) -> tuple[float, datetime | None]:
    """GPU hours of the last seven days, today and what runs now included; and when the oldest of them fall out."""
    today = utc_now().date()
    days = session.execute(
        select(UsageDay.day, UsageDay.gpu_seconds)
        .where(UsageDay.owner == owner, UsageDay.day > today - timedelta(days=_DAYS))
        .order_by(UsageDay.day)
    ).all()
    claimed = session.scalars(
        select(Unit.claimed_at)
        .join(Worker, Worker.name == Unit.worker)
        .where(Unit.queue.in_(GPU_QUEUES), Unit.state == UnitState.RUNNING, Unit.owner == owner)
        .where(Worker.device.icontains("gpu"))
    )
    now = utc_now()
    running = sum(max((now - moment).total_seconds(), 0.0) for moment in claimed if moment is not None)
    seconds = sum(day.gpu_seconds for day in days) + running
    first = next((day.day for day in days if day.gpu_seconds > 0), today if running else None)
    free_at = None
    if first is not None:
        free_at = datetime(first.year, first.month, first.day, tzinfo=UTC) + timedelta(days=_DAYS)
    return seconds / _HOUR_SECONDS, free_at


def block_spent(session: Session) -> None:
    """Keep owners from the GPU queues whose hours of the week are used up, and let go of the others.

    Args:
        session: a session of `Database.transaction()`.
    """
    limited = session.scalar(select(PersonLimit.owner).where(PersonLimit.gpu_hours_week.is_not(None)).limit(1))
    turns = select(OwnerTurn.owner, OwnerTurn.blocked).distinct().where(OwnerTurn.queue.in_(GPU_QUEUES))
    if limited is None:
        turns = turns.where(OwnerTurn.blocked)
    for owner, blocked in session.execute(turns).all():
        limit = limits_of(session, owner).gpu_hours_week
        spent = limit is not None and gpu_hours(session, owner)[0] >= limit
        if spent != blocked:
            session.execute(
                update(OwnerTurn)
                .where(OwnerTurn.owner == owner, OwnerTurn.queue.in_(GPU_QUEUES))
                .values(blocked=spent)
                .execution_options(synchronize_session=False)
            )
            announce(session, "jobs")


def owners_held_back(session: Session) -> set[str]:
    """Owners who get no further unit now: as many run as they may have, or their GPU hours are used up."""
    held = set(session.scalars(select(OwnerTurn.owner).where(OwnerTurn.blocked)))
    for owner, count in count_running(session).items():
        limit = limits_of(session, owner).running_units
        if limit is not None and count >= limit:
            held.add(owner)
    return held


def _count_jobs(session: Session, owner: str) -> int:
    """Jobs of an owner that wait, those that are paused or start later included; answered by the index alone."""
    statement = select(func.count()).where(
        Job.queue.in_(list(Queue)),
        Job.state == JobState.QUEUED,
        Job.priority.in_([int(priority) for priority in Priority]),
        Job.owner == owner,
    )
    return session.scalar(statement) or 0


def count_running(session: Session, *queues: Queue) -> Counter[str]:
    """How many units of each owner run now, in some queues or in all."""
    running = select(Unit.owner).where(Unit.queue.in_(queues or tuple(Queue)), Unit.state == UnitState.RUNNING)
    return Counter(session.scalars(running))


def _take_turns(session: Session, owner: str) -> None:
    """Of two submissions at once the second counts the first; SQLite's writers take turns anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:owner, 0))"), {"owner": owner})
