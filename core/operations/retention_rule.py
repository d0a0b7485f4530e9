"""The rule of retention, which administrators set, and its runs: asked for by a person or made by the rule.

A run is a row that the maintenance process works off: whoever asks waits for nothing, and a process that dies goes on
where it stopped, since each transaction that deletes takes counts them too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.errors import CadenzaError, ConflictError, InputError
from core.models.base import utc_now
from core.models.operations import ONLY_ROW, RetentionRule, RetentionRun
from core.operations.retention import delete_expired, expiry, find_expired
from core.people.audit import record
from core.records.database import Database, announce

MOST_DAYS = 36_500
_HOUR_SECONDS = 3600.0
_LONGEST_ERROR = 300
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rule:
    """Days after which takes that nobody kept go, 0 for never; `set_by` is empty where the setting holds."""

    days: int
    set_by: str = ""


def rule_of(session: Session, default_days: int) -> Rule:
    """The rule that holds: what an administrator set, else the installation's setting."""
    row = session.get(RetentionRule, ONLY_ROW)
    return Rule(default_days) if row is None else Rule(row.days, row.changed_by)


def set_rule(session: Session, days: int | None, by: str) -> None:
    """Let takes that nobody kept go after a number of days; 0 for never, None for what the setting says.

    Raises:
        InputError: days outside 0 to `MOST_DAYS`.
    """
    row = session.get(RetentionRule, ONLY_ROW, with_for_update=True)
    if days is None:
        if row is not None:
            session.delete(row)
    else:
        _check_days(days, 0)
        if row is None:
            row = RetentionRule(id=ONLY_ROW)
            session.add(row)
        row.days, row.changed_by, row.changed_at = days, by, utc_now()
    record(session, "retention.set_rule", subject="retention", days="as the setting" if days is None else days)
    announce(session, "retention")


def ask_for_run(database: Database, days: int, most: int, by: str) -> RetentionRun:
    """Let the maintenance process delete what is older than `days` days.

    Args:
        database: where the takes are.
        days: 1 to `MOST_DAYS`.
        most: how many takes the one who asks was told of.
        by: who asks.

    Raises:
        InputError: days outside the range.
        ConflictError: more takes have expired by now than `most`, or none, or another run is under way.
    """
    _check_days(days, 1)
    count = sum(each.takes for each in find_expired(database, days))
    if count > most:
        raise ConflictError(
            f"{count:,} takes are that old by now, but only {most:,} were asked about; nothing is deleted. Look again."
        )
    if not count:
        raise ConflictError(f"No take that nobody kept is older than {days} days; there is nothing to delete.")
    with database.exclusive() as session:
        if session.scalar(select(RetentionRun.id).where(RetentionRun.finished_at.is_(None)).limit(1)) is not None:
            raise ConflictError("A deletion is under way already; wait for its end.")
        run = RetentionRun(days=days, before=expiry(days), asked_by=by)
        session.add(run)
        session.flush()
        record(session, "retention.run", subject="retention", number=run.id, days=days, count=count)
        announce(session, "retention")
        return run


def last_runs(session: Session, limit: int = 10) -> Sequence[RetentionRun]:
    """The last runs, the newest first."""
    return session.scalars(select(RetentionRun).order_by(RetentionRun.id.desc()).limit(limit)).all()


class RetentionRuns:
    """Works off the runs that were asked for, and makes one by the rule once an hour when something has expired."""

    def __init__(
        self,
        database: Database,
        store: ArtifactStore,
        default_days: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._store = store
        self._default_days = default_days
        self._clock = clock
        self._rule_at = clock()

    def delete_expired_takes(self) -> int:
        """Look once; how many takes were deleted."""
        if self._clock() >= self._rule_at:
            self._rule_at = self._clock() + _HOUR_SECONDS
            self._apply_rule()
        with self._database.reading() as session:
            waiting = session.scalars(
                select(RetentionRun).where(RetentionRun.finished_at.is_(None)).order_by(RetentionRun.id)
            ).all()
        return sum(self._run(run) for run in waiting)

    def _apply_rule(self) -> None:
        with self._database.reading() as session:
            days = rule_of(session, self._default_days).days
        if not days or not find_expired(self._database, days):
            return
        with self._database.exclusive() as session:
            if session.scalar(select(RetentionRun.id).where(RetentionRun.finished_at.is_(None)).limit(1)) is None:
                session.add(RetentionRun(days=days, before=expiry(days)))

    def _run(self, run: RetentionRun) -> int:
        def count(session: Session, takes: int, size: int) -> None:
            values = {"takes": RetentionRun.takes + takes, "bytes": RetentionRun.bytes + size}
            self._change(session, run.id, **values)

        with self._database.transaction() as session:
            self._change(session, run.id, started_at=run.started_at or utc_now())
        error = ""
        deleted = 0
        try:
            deleted = delete_expired(self._database, self._store, run.before, count)
        except (CadenzaError, OSError) as problem:
            error = str(problem)[:_LONGEST_ERROR]
            _logger.warning("retention stopped: %s", problem)
        _logger.info("retention deleted %d takes that nobody kept", deleted)
        with self._database.transaction() as session:
            self._change(session, run.id, finished_at=utc_now(), error=error)
        return deleted

    def _change(self, session: Session, run_id: int, **values: object) -> None:
        session.execute(
            update(RetentionRun)
            .where(RetentionRun.id == run_id)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        announce(session, "retention")


def _check_days(days: int, least: int) -> None:
    if not least <= days <= MOST_DAYS:
        raise InputError.of("days", f"days: {days} is refused; allowed is {least} to {MOST_DAYS:,}.")
