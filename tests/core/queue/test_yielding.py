"""A long training lets others go first, once, and only when that helps somebody."""

from __future__ import annotations

import pytest

from core.models.jobs import JobKind, Queue, Unit
from core.models.workers import Worker, WorkerState
from core.queue.claim import claim
from core.queue.enqueue import enqueue
from core.queue.queues import pause_queues
from core.queue.yielding import Yielding, yield_turn
from core.records.database import Database


class Installation:
    """One worker for trainings, an observer, and a clock of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = 0.0
        self.observer = Yielding(database, after_seconds=100.0, clock=lambda: self.now)
        self.worker(WorkerState.BUSY)

    def worker(self, state: WorkerState) -> None:
        with self.database.transaction() as session:
            session.merge(Worker(name="w", host="h", pid=1, queues=["training"], state=state))

    def submit(self, owner: str, priority: int = 0) -> int:
        with self.database.transaction() as session:
            job = enqueue(
                session,
                kind=JobKind.TRAINING,
                queue=Queue.TRAINING,
                title="t",
                owner=owner,
                payloads=[{}],
                request={},
                priority=priority,
            )
        return job.id

    def take(self):
        with self.database.exclusive() as session:
            return claim(session, Queue.TRAINING, "w")

    def pass_by(self, seconds: float) -> list[int]:
        """Let time pass with a look every 25 s; the units that were asked."""
        asked = []
        end = self.now + seconds
        while self.now < end:
            self.now += 25.0
            asked.append(self.observer.look())
        return [unit for unit in asked if unit is not None]


@pytest.fixture
def here(database: Database) -> Installation:
    return Installation(database)


def test_a_long_training_yields_to_one_that_has_waited_long(here: Installation):
    day = here.submit("ann")
    running = here.take()
    assert here.pass_by(1_000) == [], "nobody else waits"
    short = here.submit("bob")
    assert here.pass_by(100) == []
    assert here.pass_by(50) == [running.unit_id]
    assert here.pass_by(500) == [], "it is asked once"
    with here.database.exclusive() as session:
        yield_turn(session, running.unit_id, running.attempt)
        assert claim(session, Queue.TRAINING, "w").job_id == short
    with here.database.reading() as session:
        unit = session.query(Unit).filter_by(job_id=day).one()
        assert (unit.state.value, unit.yield_requested, unit.strikes) == ("waiting", False, 0)
    assert here.pass_by(100) == [], "and does not turn the tables at once"
    assert len(here.pass_by(50)) == 1


def test_who_was_served_before_is_served_again_after_a_turn(here: Installation):
    """The one that yields comes last, even if the other was served later than it."""
    here.submit("ann")
    running = here.take()
    bob = here.submit("bob")
    other = here.take()
    with here.database.exclusive() as session:
        yield_turn(session, other.unit_id, other.attempt)
        yield_turn(session, running.unit_id, running.attempt)
        assert claim(session, Queue.TRAINING, "w").job_id == bob


@pytest.mark.parametrize("reason", ["same owner", "lower priority", "free worker", "paused queue", "never"])
def test_nobody_yields_in_vain(here: Installation, reason: str):
    here.submit("ann")
    here.take()
    here.submit("ann" if reason == "same owner" else "bob", -1 if reason == "lower priority" else 0)
    if reason == "free worker":
        here.worker(WorkerState.READY)
    if reason == "paused queue":
        with here.database.transaction() as session:
            pause_queues(session, [Queue.TRAINING], "ann")
    if reason == "never":
        here.observer.after_seconds = 0
    assert here.pass_by(1_000) == []


def test_a_long_evaluation_lets_anothers_takes_go_first(database: Database):
    """The same on the queue of generations; a generation itself is never asked, its tiles take turns anyway."""
    now = [0.0]
    observer = Yielding(database, 100.0, lambda: now[0], Queue.GENERATION, JobKind.EVALUATION)

    def submit(owner: str, kind: JobKind) -> int:
        with database.transaction() as session:
            order = {"queue": Queue.GENERATION, "title": "t", "payloads": [{}], "request": {}}
            return enqueue(session, kind=kind, owner=owner, **order).id

    def asked() -> list[int | None]:
        found = []
        for _ in range(12):
            now[0] += 25.0
            found.append(observer.look())
        return [unit for unit in found if unit is not None]

    with database.transaction() as session:
        session.merge(Worker(name="w", host="h", pid=1, queues=["generation"], state=WorkerState.BUSY))
    submit("ann", JobKind.GENERATION)
    with database.exclusive() as session:
        assert claim(session, Queue.GENERATION, "w")
    submit("ann", JobKind.EVALUATION)
    with database.exclusive() as session:
        evaluation = claim(session, Queue.GENERATION, "w2")
    assert asked() == []
    submit("bob", JobKind.GENERATION)
    assert asked() == [evaluation.unit_id]
