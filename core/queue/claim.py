"""Who is served next.

Priority first; then the owner with the fewest running units of the queue, so that one person's ten thousand seeds
never hold up another's eight; then the owner who has waited longest since being served; then that owner's own order.
Owners at their limit are passed over, a paused queue gives nothing, and a drained worker gets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, text, update
from sqlalchemy.orm import Session

from core.models.base import Base, utc_now
from core.models.jobs import Job, JobKind, JobState, Queue, Unit
from core.queue.lifecycle import settle_ended
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
_CHOICE = """
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
    ),
    job_of_best AS (SELECT id, kind, title, state FROM job WHERE id = (SELECT job_id FROM best) {lock})
"""
# A row without a unit says that nobody of this priority may be served now; no row, that nothing waits (or that the
# queue is paused, or the worker drained).
_CHOSEN = """
    SELECT top.priority, best.id, best.owner, job.id AS job_id, job.kind, job.title, job.state AS job_state,
        (SELECT served FROM next) = (SELECT max(served) FROM owner_turn WHERE queue = :queue) AS served_last
        {columns}
    FROM top LEFT JOIN best ON TRUE LEFT JOIN job_of_best AS job ON TRUE
"""
_START = """
    UPDATE unit SET state = 'running', attempt = attempt + 1, progressed = FALSE, yield_requested = FALSE,
        worker = :worker, claimed_at = :now
    WHERE id = {unit} AND state = 'waiting' RETURNING "index" AS number, attempt, payload
"""
_NOW = bindparam("now", type_=Unit.claimed_at.type)
# PostgreSQL does all of it in one trip. The job's row is locked before the unit's everywhere, so that a cancel at the
# same moment waits and cannot deadlock; a unit that was cancelled or deleted meanwhile gives no attempt.
_TAKE = text(
    "\n".join(
        (
            _CHOICE.format(lock="FOR UPDATE"),
            ", started AS (",
            _START.format(unit="(SELECT best.id FROM best, job_of_best)"),
            ")",
            _CHOSEN.format(columns=", started.*"),
            "LEFT JOIN started ON TRUE",
        )
    )
).bindparams(_NOW)
# SQLite changes nothing inside a query, but there are no trips, and whoever may write holds the whole file.
_CHOOSE = text(_CHOICE.format(lock="") + _CHOSEN.format(columns=""))
_START_CHOSEN = text(_START.format(unit=":unit_id")).bindparams(_NOW).columns(payload=Unit.payload.type)
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

_START_JOB = (
    update(Base.metadata.tables[Job.__tablename__])
    .where(Job.id == bindparam("of_job"))
    .values(state=JobState.RUNNING, started_at=func.coalesce(Job.started_at, _NOW))
)


def claim(session: Session, queue: Queue, worker: str) -> Claim | None:
    """Take the best waiting unit of `queue` for `worker`; None when none may start: a pause, a drained worker, limits.

    Args:
        session: a session of `Database.exclusive()`; counts of running units would be stale otherwise.
        queue: the queue to serve.
        worker: name of the worker that will run it.
    """
    connection = session.connection()
    at_once = connection.dialect.name == "postgresql"
    now = utc_now()
    wanted: dict[str, Any] = {"queue": queue.value, "worker": worker, "below": _ANY_PRIORITY, "now": now}
    while (best := connection.execute(_TAKE if at_once else _CHOOSE, wanted).first()) is not None:
        if best.id is None:  # all who wait at this priority have reached a limit: on with the next lower one
            wanted["below"] = best.priority
            continue
        unit = best if at_once else connection.execute(_START_CHOSEN, {**wanted, "unit_id": best.id}).one()
        if unit.attempt is not None:
            _begin(session, queue, best, now)
            kind, title = JobKind(best.kind), best.title
            return Claim(best.id, best.job_id, kind, queue, best.owner, title, unit.number, unit.attempt, unit.payload)
    return None


def settle_after_claim(session: Session, ended: int, claimed: Claim | None) -> None:
    """Settle the job of a unit that ended, by number; one whose next unit was claimed just runs on."""
    if claimed is None or claimed.job_id != ended:
        settle_ended(session, ended)


def count_turn(session: Session, queue: Queue, owner: str) -> None:
    """Say that an owner's turn has been: among owners with as few running units, all others come first now."""
    session.connection().execute(_COUNT_TURN, {"queue": queue.value, "owner": owner})


def _begin(session: Session, queue: Queue, best: Row[Any], now: datetime) -> None:
    """What follows from the start of a unit: its job runs, and its owner's turn has been."""
    if best.job_state != JobState.RUNNING:
        session.connection().execute(_START_JOB, {"of_job": best.job_id, "now": now})
    if not best.served_last:  # whose turn was the last comes last already
        count_turn(session, queue, best.owner)
    announce(session, *topics_of(best.job_id))
