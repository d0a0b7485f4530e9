"""Long work lets others go first: what has run for long is asked to stop once another owner has waited long.

Trainings do it on their queue, at a resume point, and evaluations on theirs, after a finished part.

Who waits is judged by the observer's own monotonic clock, from the counter of owners' turns, as in `recovery`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.models.jobs import Job, JobKind, OwnerTurn, Queue, Unit, UnitState
from core.models.queues import QueueControl
from core.models.workers import Worker, WorkerState
from core.queue.claim import count_turn
from core.queue.lifecycle import release
from core.queue.limits import owners_held_back
from core.queue.logs import log
from core.records.database import Database, announce

_LOOK_SECONDS = 5.0


def yield_turn(session: Session, unit_id: int, attempt: int) -> Job:
    """Give a unit back that let others go first: its owner comes last among those who wait now.

    Raises:
        SupersededError: the unit has moved on.
    """
    job = release(session, unit_id, attempt)
    count_turn(session, job.queue, job.owner)
    log(session, job.id, "It let the job of another go first, and goes on from its resume point when its turn comes.")
    return job


@dataclass(frozen=True, slots=True)
class _Running:
    unit_id: int
    attempt: int
    owner: str
    priority: int
    asked: bool


@dataclass(frozen=True, slots=True)
class _Waiting:
    owner: str
    priority: int
    served: int


@dataclass(slots=True)
class Yielding:
    """Asks one unit of a queue at a time to yield; `after_seconds` is the longest that others wait beside it, 0 never.

    `kind` is the kind of job that can: it goes on where it stopped, and loses little.
    """

    database: Database
    after_seconds: float
    clock: Callable[[], float] = time.monotonic
    queue: Queue = Queue.TRAINING
    kind: JobKind = JobKind.TRAINING
    _looked_at: float = float("-inf")
    _waiting_since: dict[_Waiting, float] = field(default_factory=dict)
    _running_since: dict[tuple[int, int], float] = field(default_factory=dict)

    def look(self) -> int | None:
        """Look once (every few seconds at most); the number of the unit that was asked to yield."""
        now = self.clock()
        if not self.after_seconds or now - self._looked_at < min(_LOOK_SECONDS, self.after_seconds / 4):
            return None
        self._looked_at = now
        with self.database.reading() as session:
            running = self._running(session)
            waiting = self._waiting(session) if running else []
        # An owner who was served meanwhile has another counter, and so begins to wait anew.
        self._waiting_since = {each: self._waiting_since.get(each, now) for each in waiting}
        self._running_since = {
            (each.unit_id, each.attempt): self._running_since.get((each.unit_id, each.attempt), now) for each in running
        }
        chosen = self._choose(running, now)
        return chosen.unit_id if chosen is not None and self._ask(chosen) else None

    def _choose(self, running: list[_Running], now: float) -> _Running | None:
        """The one that has run longest while somebody else has waited too long for it."""
        if any(each.asked for each in running):
            return None  # One is on its way already.
        starving = [each for each, since in self._waiting_since.items() if now - since >= self.after_seconds]
        since = {each: self._running_since[each.unit_id, each.attempt] for each in running}
        for each in sorted(running, key=lambda each: since[each]):
            long = now - since[each] >= self.after_seconds
            if long and any(other.owner != each.owner and other.priority >= each.priority for other in starving):
                return each
        return None

    def _ask(self, chosen: _Running) -> bool:
        with self.database.transaction() as session:
            job_id = session.scalar(
                update(Unit)
                .where(Unit.id == chosen.unit_id, Unit.attempt == chosen.attempt, Unit.state == UnitState.RUNNING)
                .values(yield_requested=True)
                .returning(Unit.job_id)
                .execution_options(synchronize_session=False)
            )
            if job_id is not None:
                log(session, job_id, "The job of another has waited for long; this one yields as soon as it can.")
                announce(session, f"job:{job_id}")
        return job_id is not None

    def _running(self, session: Session) -> list[_Running]:
        rows = session.execute(
            select(Unit.id, Unit.attempt, Unit.owner, Unit.priority, Unit.yield_requested)
            .join(Job, Job.id == Unit.job_id)
            .where(Unit.queue == self.queue, Unit.state == UnitState.RUNNING, Job.kind == self.kind)
        )
        return [_Running(*row) for row in rows]

    def _waiting(self, session: Session) -> list[_Waiting]:
        """Owners whose jobs could start if a worker were free; nobody, while one is free or the queue is paused."""
        paused = session.scalar(select(QueueControl.paused).where(QueueControl.queue == self.queue))
        workers = session.scalars(select(Worker).where(Worker.state == WorkerState.READY, Worker.draining.is_(False)))
        if paused or any(self.queue.value in worker.queues for worker in workers):
            return []
        held_back = owners_held_back(session)
        rows = session.execute(
            select(Unit.owner, Unit.priority, OwnerTurn.served)
            .distinct()
            .outerjoin(OwnerTurn, (OwnerTurn.queue == Unit.queue) & (OwnerTurn.owner == Unit.owner))
            .where(Unit.queue == self.queue, Unit.state == UnitState.WAITING)
        )
        return [_Waiting(owner, priority, served or 0) for owner, priority, served in rows if owner not in held_back]
