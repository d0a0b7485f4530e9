"""Who is served next.

Priority first; then the owner with the fewest running units of the queue, so that one person's ten thousand seeds
never hold up another's eight; then the owner who has waited longest since being served; then that owner's own order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, select, text, update
from sqlalchemy.orm import Session

from core.models.base import Base, utc_now
from core.models.jobs import Job, JobKind, JobState, Queue, Unit, UnitState
from core.queue.lifecycle import finish, settle
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
_BEST_UNIT = text(
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
    ),
    next AS (
        SELECT waiting.owner
        FROM waiting
        LEFT JOIN running ON running.owner = waiting.owner
        LEFT JOIN owner_turn ON owner_turn.queue = :queue AND owner_turn.owner = waiting.owner
        WHERE waiting.owner IS NOT NULL
        ORDER BY coalesce(running.units, 0), coalesce(owner_turn.served, 0), waiting.owner
        LIMIT 1
    )
    SELECT id, job_id, owner FROM unit
    WHERE queue = :queue AND state = 'waiting'
    AND priority = (SELECT priority FROM top) AND owner = (SELECT owner FROM next)
    ORDER BY position, id LIMIT 1
    """
)

_COUNT_TURN = text(
    """
    INSERT INTO owner_turn (queue, owner, served)
    SELECT CAST(:queue AS VARCHAR), CAST(:owner AS VARCHAR), coalesce(max(served), 0) + 1
    FROM owner_turn WHERE queue = CAST(:queue AS VARCHAR)
    ON CONFLICT (queue, owner) DO UPDATE SET served = excluded.served
    """
)

_LOCK_JOB = select(Job).where(Job.id == bindparam("job_id")).with_for_update().execution_options(populate_existing=True)

_START_UNIT = (
    update(Base.metadata.tables[Unit.__tablename__])
    .where(Unit.id == bindparam("unit_id"), Unit.state == UnitState.WAITING)
    .values(
        state=UnitState.RUNNING,
        attempt=Unit.attempt + 1,
        progressed=False,
        worker=bindparam("by"),
        claimed_at=bindparam("now"),
    )
    .returning(Unit.index, Unit.attempt, Unit.payload)
)


def claim(session: Session, queue: Queue, worker: str, locked: Job | None = None) -> Claim | None:
    """Take the best waiting unit of `queue` for `worker`, or None when none waits.

    Args:
        session: a session of `Database.exclusive()`; counts of running units would be stale otherwise.
        queue: the queue to serve.
        worker: name of the worker that will run it.
        locked: a job that this transaction has locked already, such as that of the unit which just ended.
    """
    connection = session.connection()
    while (best := connection.execute(_BEST_UNIT, {"queue": queue.value}).first()) is not None:
        taken = _take(session, best, worker, locked)
        if taken is not None:
            connection.execute(_COUNT_TURN, {"queue": queue.value, "owner": best.owner})
            return taken
    return None


def finish_and_claim(session: Session, done: Claim, queue: Queue, worker: str) -> Claim | None:
    """End a unit well and take the next one in the same transaction of `Database.exclusive()`.

    Raises:
        SupersededError: the finished unit has moved on; nothing is claimed.
    """
    job = finish(session, done.unit_id, done.attempt, settle_after=False)
    claimed = claim(session, queue, worker, job)
    settle_after_claim(session, job, claimed)
    return claimed


def settle_after_claim(session: Session, ended: Job, claimed: Claim | None) -> None:
    """Give the locked job of a unit that ended its state; a job whose next unit was claimed just runs on."""
    if claimed is None or claimed.job_id != ended.id:
        settle(session, ended)


def _take(session: Session, best: Row[Any], worker: str, locked: Job | None) -> Claim | None:
    # The job's row comes before the unit's everywhere, so that a cancel at the same moment waits and cannot deadlock.
    if locked is not None and locked.id == best.job_id:
        job: Job | None = locked
    else:
        job = session.scalars(_LOCK_JOB, {"job_id": best.job_id}).one_or_none()
    now = utc_now()
    row = session.connection().execute(_START_UNIT, {"unit_id": best.id, "by": worker, "now": now}).first()
    if row is None or job is None:  # cancelled or deleted at this very moment
        return None
    if job.state is not JobState.RUNNING:
        job.state = JobState.RUNNING
        job.started_at = job.started_at or now
    announce(session, *topics_of(job.id))
    index, attempt, payload = row
    return Claim(best.id, job.id, job.kind, job.queue, best.owner, job.title, index, attempt, payload)
