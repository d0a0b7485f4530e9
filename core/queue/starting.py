"""The choice for restarts, go on or come up paused, however the parts are started: Compose, Kubernetes, systemd.

The maintenance process leaves a sign of life in the database, by the database's own clock. A worker or maintenance
process that starts and finds none for a while starts the whole system. Workers that come and go while the maintenance
process runs, as an autoscaler's do, change nothing.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.models.base import utc_now
from core.models.jobs import Queue
from core.models.operations import ONLY_ROW, SystemBeat
from core.queue.queues import apply_start
from core.records.database import Database

AWAY_SECONDS = 12.0
"""Without a sign for this long, the whole system was away."""
BEAT_SECONDS = 3.0
"""How often the maintenance process leaves a sign."""


def begin(database: Database) -> list[Queue]:
    """To be called by each part that could start work, before it does; the queues that come up paused by this start."""
    with database.exclusive() as session:
        now = _database_now(session)
        row = session.get(SystemBeat, ONLY_ROW)
        if row is not None and (now - row.seen_at).total_seconds() < AWAY_SECONDS:
            return []
        beat(session)
        return apply_start(session)


def beat(session: Session) -> None:
    """Leave a sign that the system runs."""
    row = session.get(SystemBeat, ONLY_ROW)
    if row is None:
        session.add(SystemBeat(id=ONLY_ROW, seen_at=_database_now(session)))
    else:
        row.seen_at = _database_now(session)


def _database_now(session: Session) -> datetime:
    """SQLite is used on one machine alone, so its clock is that of all parts."""
    if session.get_bind().dialect.name == "sqlite":
        return utc_now()
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now
