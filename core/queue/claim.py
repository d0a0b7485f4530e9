"""Who is served next.

Priority first; then the owner with the fewest running units of the queue, so that one person's ten thousand seeds
never hold up another's eight; then the owner who has waited longest since being served; then that owner's own order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from core.models.base import utc_now
from core.models.jobs import Job, JobKind, JobState, OwnerTurn, Queue, Unit, UnitState
from core.queue.lifecycle import finish
from core.records.database import announce, topics_of


@dataclass(frozen=True, slots=True)
class Claim:
    """A unit that this worker now runs. `attempt` goes with every write about it."""

    unit_id: int
    job_id: int
    kind: JobKind
    queue: Queue
    owner: str
    title: str
    index: int
    attempt: int
    payload: dict[str, Any]


# Each step of the recursion jumps to the next owner in the index ix_unit_claim, so that the cost grows with the number
# of owners who wait and not with the number of their units.
_NEXT_OWNER = text(
    """
    WITH RECURSIVE
    top AS (
        SELECT priority FROM unit WHERE queue = :queue AND state = 'waiting' ORDER BY priority DESC LIMIT 1
    ),
    waiting(owner) AS (
        SELECT (
            SELECT unit.owner FROM unit
            WHERE queue = :queue AND state = 'waiting' AND priority = (SELECT priority FROM top)
            ORDER BY unit.owner LIMIT 1
        )
        UNION ALL
        SELECT (
            SELECT unit.owner FROM unit
            WHERE queue = :queue AND state = 'waiting' AND priority = (SELECT priority FROM top)
            AND unit.owner > waiting.owner
            ORDER BY unit.owner LIMIT 1
        ) FROM waiting WHERE waiting.owner IS NOT NULL
    ),
    running AS (
        SELECT owner, count(*) AS units FROM unit WHERE queue = :queue AND state = 'running' GROUP BY owner
    )
    SELECT waiting.owner, (SELECT priority FROM top) AS priority
    FROM waiting
    LEFT JOIN running ON running.owner = waiting.owner
    LEFT JOIN owner_turn ON owner_turn.queue = :queue AND owner_turn.owner = waiting.owner
    WHERE waiting.owner IS NOT NULL
    ORDER BY coalesce(running.units, 0), coalesce(owner_turn.served, 0), waiting.owner
    LIMIT 1
    """
)


def claim(session: Session, queue: Queue, worker: str) -> Claim | None:
    """Take the best waiting unit of `queue` for `worker`, or None when none waits.

    Args:
        session: a session of `Database.exclusive()`; counts of running units would be stale otherwise.
        queue: the queue to serve.
        worker: name of the worker that will run it.
    """
    while True:
        owner = session.execute(_NEXT_OWNER, {"queue": queue.value}).first()
        if owner is None:
            return None
        best = session.execute(
            select(Unit.id, Unit.job_id)
            .where(
                Unit.queue == queue,
                Unit.state == UnitState.WAITING,
                Unit.priority == owner.priority,
                Unit.owner == owner.owner,
            )
            .order_by(Unit.position, Unit.id)
            .limit(1)
        ).first()
        taken = None if best is None else _take(session, best.id, best.job_id, worker)
        if taken is not None:
            _count_turn(session, queue, taken.owner)
            return taken


def finish_and_claim(session: Session, done: Claim, queue: Queue, worker: str) -> Claim | None:
    """End a unit well and take the next one in the same transaction of `Database.exclusive()`.

    Raises:
        SupersededError: the finished unit has moved on; nothing is claimed.
    """
    finish(session, done.unit_id, done.attempt)
    return claim(session, queue, worker)


def _take(session: Session, unit_id: int, job_id: int, worker: str) -> Claim | None:
    # The job's row comes before the unit's everywhere, so that a cancel at the same moment waits and cannot deadlock.
    job = session.scalars(
        select(Job).where(Job.id == job_id).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()
    row = session.execute(
        update(Unit)
        .where(Unit.id == unit_id, Unit.state == UnitState.WAITING)
        .values(
            state=UnitState.RUNNING,
            attempt=Unit.attempt + 1,
            progressed=False,
            worker=worker,
            claimed_at=utc_now(),
        )
        .returning(Unit.index, Unit.attempt, Unit.payload)
        .execution_options(synchronize_session=False)
    ).first()
    if row is None or job is None:  # cancelled or deleted at this very moment
        return None
    if job.state is not JobState.RUNNING:
        job.state = JobState.RUNNING
        job.started_at = job.started_at or utc_now()
    announce(session, *topics_of(job.id))
    index, attempt, payload = row
    return Claim(unit_id, job.id, job.kind, job.queue, job.owner, job.title, index, attempt, payload)


def _count_turn(session: Session, queue: Queue, owner: str) -> None:
    latest = session.scalar(select(func.max(OwnerTurn.served)).where(OwnerTurn.queue == queue)) or 0
    changed = session.execute(
        update(OwnerTurn)
        .where(OwnerTurn.queue == queue, OwnerTurn.owner == owner)
        .values(served=latest + 1)
        .returning(OwnerTurn.served)
        .execution_options(synchronize_session=False)
    ).first()
    if changed is None:
        session.add(OwnerTurn(queue=queue, owner=owner, served=latest + 1))
        session.flush()
