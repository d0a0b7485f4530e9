"""The most that one owner may have: jobs that wait, units that run, hours of GPU in a week, stored bytes.

The first, third and fourth are looked at when a job is queued, the second and third when a unit is claimed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from core.errors import ConflictError, LimitError
from core.models.base import utc_now
from core.models.jobs import OwnerTurn, Queue
from core.models.queues import EVERYBODY, PersonLimit
from core.people.audit import record
from core.queue.storage import stored_bytes
from core.queue.usage import GPU_QUEUES, count_running, count_waiting, gpu_hours
from core.records.database import announce

_LIMITED = ("waiting_jobs", "running_units", "gpu_hours_week", "storage_bytes")
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one owner may have at most; None is no limit. `own` tells limits of the owner from those of everybody."""

    waiting_jobs: int | None = None
    running_units: int | None = None
    gpu_hours_week: float | None = None
    storage_bytes: int | None = None
    own: bool = False


def limits_of(session: Session, owner: str) -> Limits:
    """The limits that hold for an owner."""
    return all_limits(session, [owner])[owner]


def all_limits(session: Session, owners: Sequence[str]) -> dict[str, Limits]:
    """The limits that hold for each of some owners."""
    wanted = PersonLimit.owner.in_([*owners, EVERYBODY])
    rows = {
        row.owner: Limits(**{name: getattr(row, name) for name in _LIMITED}, own=row.owner != EVERYBODY)
        for row in session.scalars(select(PersonLimit).where(wanted))
    }
    everybody = rows.get(EVERYBODY, Limits())
    return {owner: rows.get(owner, everybody) for owner in owners}


def check_new_job(session: Session, owner: str, queue: Queue) -> None:
    """Refuse one job more than an owner may have. Submissions of one owner take turns where a limit holds.

    Raises:
        LimitError: naming the limit, what is used of it, and when it frees.
    """
    limits = limits_of(session, owner)
    if limits.waiting_jobs is None and limits.gpu_hours_week is None and limits.storage_bytes is None:
        return
    _take_turns(session, owner)
    if limits.waiting_jobs is not None and (waiting := count_waiting(session, [owner])[owner]) >= limits.waiting_jobs:
        raise LimitError(
            f"{owner} has {waiting:,} waiting jobs, and the limit is {limits.waiting_jobs:,}: "
            "it frees with each job that starts or is cancelled."
        )
    if limits.gpu_hours_week is not None and queue in GPU_QUEUES:
        hours, free_at = gpu_hours(session, [owner])[owner]
        if hours >= limits.gpu_hours_week:
            raise LimitError(gpu_sentence(owner, hours, limits.gpu_hours_week, free_at))
    if limits.storage_bytes is not None and (stored := stored_bytes(session, [owner])[owner]) >= limits.storage_bytes:
        raise LimitError(
            f"{owner} stores {stored / _MIB:,.1f} MiB, and the limit is {limits.storage_bytes / _MIB:,.1f} MiB: "
            "it frees when generations, models or datasets are deleted."
        )


def gpu_sentence(owner: str, hours: float, limit: float, free_at: datetime | None) -> str:
    """Why an owner gets no GPU now, and when that ends."""
    frees = "an administrator can raise it"
    if free_at is not None:
        frees = f"the first of them fall out of the week on {free_at:%Y-%m-%d} at {free_at:%H:%M} UTC"
    return f"{owner} has used {hours:,.1f} GPU hours in the last 7 days, and the limit is {limit:,.1f}: {frees}."


def block_spent(session: Session) -> None:
    """Keep owners from the GPU queues whose hours of the week are used up, and let go of the others.

    Args:
        session: a session of `Database.transaction()`.
    """
    limited = session.scalar(select(PersonLimit.owner).where(PersonLimit.gpu_hours_week.is_not(None)).limit(1))
    turns = select(OwnerTurn.owner, OwnerTurn.blocked).distinct().where(OwnerTurn.queue.in_(GPU_QUEUES))
    if limited is None:
        turns = turns.where(OwnerTurn.blocked)
    known = session.execute(turns).all()
    owners = list({row.owner for row in known})
    limits, hours = all_limits(session, owners), gpu_hours(session, owners)
    for owner, blocked in known:
        limit = limits[owner].gpu_hours_week
        spent = limit is not None and hours[owner][0] >= limit
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
    running = count_running(session)
    for owner, limits in all_limits(session, list(running)).items():
        if limits.running_units is not None and running[owner] >= limits.running_units:
            held.add(owner)
    return held


def limited_owners(session: Session) -> list[str]:
    """`EVERYBODY`, and each owner with limits of their own, by name."""
    own = select(PersonLimit.owner).where(PersonLimit.owner != EVERYBODY).order_by(PersonLimit.owner)
    return [EVERYBODY, *session.scalars(own)]


def set_limits(session: Session, owner: str, values: Mapping[str, float | None], by: str) -> None:
    """Give an owner, or with `EVERYBODY` all who have none of their own, other limits; what is left out is no limit."""
    row = session.get(PersonLimit, owner)
    if row is None:
        row = PersonLimit(owner=owner)
        session.add(row)
    for name in _LIMITED:
        setattr(row, name, values.get(name))
    row.changed_by, row.changed_at = by, utc_now()
    session.flush()
    record(session, "limits.set", subject="person", title=owner, limits={name: values.get(name) for name in _LIMITED})
    block_spent(session)
    announce(session, "limits", "jobs")


def remove_limits(session: Session, owner: str) -> None:
    """Let the limits of everybody hold for an owner again; those of everybody themselves become none.

    Raises:
        ConflictError: the owner has no limits.
    """
    row = session.get(PersonLimit, owner)
    if row is None:
        raise ConflictError(f"{owner or 'Everybody'} has no limits of their own.")
    session.delete(row)
    session.flush()
    record(session, "limits.remove", subject="person", title=owner)
    block_spent(session)
    announce(session, "limits", "jobs")


def _take_turns(session: Session, owner: str) -> None:
    """Of two submissions at once the second counts the first; SQLite's writers take turns anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:owner, 0))"), {"owner": owner})
