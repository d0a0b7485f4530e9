"""Bringing back what was lost: units whose worker fell silent, and workers that are gone.

Silence is judged by the observer's own monotonic clock from counters that grow, never by comparing clocks of hosts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import SupersededError
from core.models.base import utc_now
from core.models.jobs import Job, JobKind, Queue, Unit, UnitState
from core.models.workers import Worker, WorkerState
from core.queue.lifecycle import fail, give_back, lock_job_of
from core.queue.logs import log
from core.queue.tallies import Outcome, Tallies, store_tallies
from core.queue.usage import add_gpu_seconds, gpus_held
from core.records.database import Database, announce

_K = TypeVar("_K", int, str)
_Mark = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What one look brought back: ids of units given back or failed, names of workers marked gone."""

    units: tuple[int, ...] = ()
    workers: tuple[str, ...] = ()


@dataclass(slots=True)
class _Seen:
    mark: _Mark
    since: float


@dataclass(slots=True)
class Observer:
    """Remembers the beats of units and workers, and takes away what has been silent for `lost_after_seconds`."""

    database: Database
    lost_after_seconds: float
    attempts_limit: int
    clock: Callable[[], float] = time.monotonic
    _units: dict[int, _Seen] = field(default_factory=dict)
    _workers: dict[str, _Seen] = field(default_factory=dict)

    def look(self) -> Recovered:
        """Look once (every second or so); writes only when something was lost."""
        with self.database.reading() as session:
            units = session.execute(
                select(Unit.id, Unit.attempt, Unit.beat).where(
                    Unit.queue.in_(list(Queue)), Unit.state == UnitState.RUNNING
                )
            ).all()
            workers = session.execute(
                select(Worker.name, Worker.pid, Worker.beat).where(Worker.state != WorkerState.GONE)
            ).all()
        now = self.clock()
        silent_units = self._silent(self._units, {row.id: (row.attempt, row.beat) for row in units}, now)
        silent_workers = self._silent(self._workers, {row.name: (row.pid, row.beat) for row in workers}, now)
        if not silent_units and not silent_workers:
            return Recovered()
        lost = tuple(unit_id for unit_id, mark in silent_units.items() if self._take_back(unit_id, mark))
        gone = tuple(name for name, mark in silent_workers.items() if self._mark_gone(name, mark))
        return Recovered(lost, gone)

    def _silent(self, seen: dict[_K, _Seen], present: dict[_K, _Mark], now: float) -> dict[_K, _Mark]:
        for key in seen.keys() - present.keys():
            del seen[key]
        for key, mark in present.items():
            if key not in seen or seen[key].mark != mark:
                seen[key] = _Seen(mark, now)
        return {key: entry.mark for key, entry in seen.items() if now - entry.since >= self.lost_after_seconds}

    def _take_back(self, unit_id: int, mark: _Mark) -> bool:
        attempt, beat = mark
        with self.database.transaction() as session:
            try:
                job = lock_job_of(session, unit_id)
                still_silent = session.scalar(
                    select(Unit.worker).where(Unit.id == unit_id, Unit.attempt == attempt, Unit.beat == beat)
                )
                if still_silent is None:
                    return False
                lose(session, job, unit_id, attempt, self.attempts_limit)
                _count_lost(session, [job.kind])
            except SupersededError:
                return False
        return True

    def _mark_gone(self, name: str, mark: _Mark) -> bool:
        pid, beat = mark
        with self.database.transaction() as session:
            changed = session.execute(
                update(Worker)
                .where(Worker.name == name, Worker.pid == pid, Worker.beat == beat, Worker.state != WorkerState.GONE)
                .values(state=WorkerState.GONE, unit_id=None)
                .returning(Worker.name)
                .execution_options(synchronize_session=False)
            ).first()
            announce(session, "workers")
        return changed is not None


def lose(
    session: Session, job: Job, unit_id: int, attempt: int, attempts_limit: int, *, count_gpu: bool = True
) -> None:
    """End an attempt whose worker died: back to the queue, or failed after too many strikes. `job` is locked.

    The time for which it held a GPU is counted here, unless the worker itself lives and counts it (`count_gpu`).

    Raises:
        SupersededError: the unit has moved on.
    """
    row = session.execute(
        select(Unit.strikes, Unit.progressed, Unit.worker, Unit.queue, Unit.owner, Unit.claimed_at, Worker.device)
        .outerjoin(Worker, Worker.name == Unit.worker)
        .where(Unit.id == unit_id, Unit.attempt == attempt, Unit.state == UnitState.RUNNING)
    ).one_or_none()
    if row is None:
        # Before anything is written: the caller's transaction goes on, with what it has done for other units.
        raise SupersededError(f"Attempt {attempt} of unit {unit_id} was taken back by somebody else.")
    held = gpus_held(row.device or "", row.queue)
    if count_gpu and row.claimed_at is not None and held:
        add_gpu_seconds(session, row.owner, held * (utc_now() - row.claimed_at).total_seconds())
    strikes = 0 if row.progressed else row.strikes + 1
    if strikes >= attempts_limit and not job.cancel_requested:
        sentence = (
            f"The worker '{row.worker}' ended or fell silent while it ran this, {strikes} times in a row and without "
            "any progress in between. It may need more memory than there is, or crash on this input. "
            "Try smaller settings, then retry."
        )
        fail(session, unit_id, attempt, sentence)
        return
    log(session, job.id, f"The worker '{row.worker}' was lost; the work goes back to the queue.", "warning")
    give_back(session, job, unit_id, attempt, strikes=strikes)


def free_units_of(session: Session, worker: str, attempts_limit: int) -> list[int]:
    """Take back what an earlier incarnation of `worker` still held; ids of the units."""
    held = session.execute(
        select(Unit.id, Unit.attempt)
        .where(Unit.queue.in_(list(Queue)), Unit.state == UnitState.RUNNING, Unit.worker == worker)
        .order_by(Unit.job_id)
    ).all()
    freed, kinds = [], []
    for unit_id, attempt in held:
        try:
            job = lock_job_of(session, unit_id)
            lose(session, job, unit_id, attempt, attempts_limit)
        except SupersededError:
            continue
        freed.append(unit_id)
        kinds.append(job.kind)
    _count_lost(session, kinds)
    return freed


def _count_lost(session: Session, kinds: list[JobKind]) -> None:
    # Last in its transaction: all who count write the same few rows, and none waits for another lock while it does.
    lost = Tallies()
    for kind in kinds:
        lost.add(kind, Outcome.LOST, 0.0, "worker")
    store_tallies(session, lost.take()[1])
