"""Who is served next.

Priority first; then the owner with the fewest running units of the queue, so that one person's ten thousand seeds
never hold up another's eight; then the owner who has waited longest since being served; then that owner's own order.
Owners at their limit are passed over, a paused queue gives nothing, and a drained worker gets nothing.
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
# of owners who wait and not with the number of their units. A row without a unit says that nobody of this priority may
# be served now; no row, that nothing waits (or that the queue is paused, or the worker drained).
_BEST_UNIT = text(
    """
    WITH RECURSIVE
    top AS (
        SELECT priority FROM unit
        WHERE queue = :queue AND state = 'waiting' AND priority < :below
        AND NOT EXISTS (SELECT 1 FROM queue_control WHERE queue = :queue AND paused)
        AND NOT EXISTS (SELECT 1 FROM worker WHERE name = :worker AND draining)
        ORDER BY priority DESC LIMIT 1
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
        SELECT owner, count(*) AS everywhere, sum(CASE WHEN queue = :queue THEN 1 ELSE 0 END) AS here
        FROM unit WHERE queue IN ('training', 'generation', 'light') AND state = 'running' GROUP BY owner
    ),
    next AS (
        SELECT waiting.owner, owner_turn.served
        FROM waiting
        LEFT JOIN running ON running.owner = waiting.owner
        LEFT JOIN owner_turn ON owner_turn.queue = :queue AND owner_turn.owner = waiting.owner
        LEFT JOIN person_limit AS own ON own.owner = waiting.owner
        LEFT JOIN person_limit AS everybody ON everybody.owner = '' AND own.owner IS NULL
        WHERE waiting.owner IS NOT NULL
        AND NOT coalesce(owner_turn.blocked, FALSE)
        AND coalesce(running.everywhere, 0) < coalesce(own.running_units, everybody.running_units, 2147483647)
        ORDER BY coalesce(running.here, 0), coalesce(owner_turn.served, 0), waiting.owner
        LIMIT 1
    ),
    best AS (
        SELECT id, job_id, owner FROM unit
        WHERE queue = :queue AND state = 'waiting'
        AND priority = (SELECT priority FROM top) AND owner = (SELECT owner FROM next)
        ORDER BY position, id LIMIT 1
    )
    SELECT top.priority, best.id, best.job_id, best.owner,
        (SELECT served FROM next) = (SELECT max(served) FROM owner_turn WHERE queue = :queue) AS served_last
    FROM top LEFT JOIN best ON TRUE
    """
)
# Above any priority that a job can have.
_ANY_PRIORITY = 2**31 - 1

_COUNT_TURN = text(
    """
    INSERT INTO owner_turn (queue, owner, blocked, served)
    SELECT CAST(:queue AS VARCHAR), CAST(:owner AS VARCHAR), FALSE, coalesce(max(served), 0) + 1
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
        yield_requested=False,
        worker=bindparam("by"),
        claimed_at=bindparam("now"),
    )
    .returning(Unit.index, Unit.attempt, Unit.payload)
)


def claim(session: Session, queue: Queue, worker: str, locked: Job | None = None) -> Claim | None:
    """Take the best waiting unit of `queue` for `worker`; None when none may start: a pause, a drained worker, limits.

    Args:
        session: a session of `Database.exclusive()`; counts of running units would be stale otherwise.
        queue: the queue to serve.
        worker: name of the worker that will run it.
        locked: a job that this transaction has locked already, such as that of the unit which just ended.
    """
    connection = session.connection()
    wanted: dict[str, Any] = {"queue": queue.value, "worker": worker, "below": _ANY_PRIORITY}
    while (best := connection.execute(_BEST_UNIT, wanted).first()) is not None:
        if best.id is None:  # all who wait at this priority have reached a limit: on with the next lower one
            wanted["below"] = best.priority
            continue
        taken = _take(session, best, worker, locked)
        if taken is not None:
            if not best.served_last:  # whose turn was the last comes last already
                count_turn(session, queue, best.owner)
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


def count_turn(session: Session, queue: Queue, owner: str) -> None:
    """Say that an owner's turn has been: among owners with as few running units, all others come first now."""
    session.connection().execute(_COUNT_TURN, {"queue": queue.value, "owner": owner})


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
