"""Why a job waits, in words, and the counts of the overview."""

from __future__ import annotations

import pytest

from core.models.jobs import Job, Queue
from core.models.workers import Worker, WorkerState
from core.queue import control, lifecycle
from core.queue.claim import claim
from core.queue.waiting import QueueCounts, queue_counts, why_waiting
from core.records.database import Database


@pytest.fixture
def worker(database: Database):
    """Puts a worker into a state."""

    def put(state: WorkerState, name: str = "w", queues: tuple[str, ...] = ("light",)) -> None:
        with database.transaction() as session:
            session.merge(Worker(name=name, host="h", pid=1, queues=list(queues), state=state))

    return put


def why(database: Database, job: Job) -> str:
    with database.reading() as session:
        return why_waiting(session, session.get(Job, job.id))


def test_nobody_serves_the_queue(database: Database, submit, worker):
    job = submit()
    assert why(database, job) == "no worker serves the queue 'light'"
    worker(WorkerState.READY, queues=("training",))
    worker(WorkerState.GONE, name="old")
    assert why(database, job) == "no worker serves the queue 'light'"


def test_workers_that_come_and_go(database: Database, submit, worker):
    job = submit()
    worker(WorkerState.STOPPING)
    assert why(database, job) == "the workers of the queue 'light' are stopping"
    worker(WorkerState.STARTING, name="new")
    assert why(database, job) == "its worker is loading"


def test_jobs_before_it(database: Database, submit, worker):
    worker(WorkerState.READY)
    submit(queue=Queue.TRAINING)
    jobs = [submit(owner=owner) for owner in ("ann", "bob", "cat")]
    assert [why(database, job) for job in jobs] == [
        "next",
        "1 job of others before it",
        "2 jobs of others before it",
    ]
    urgent = submit(priority=1)
    assert why(database, urgent) == "next"
    assert why(database, jobs[0]) == "2 jobs of others and 1 of ann's own before it"
    with database.transaction() as session:
        control.pause(session, urgent.id)
    assert why(database, urgent) == "paused"
    assert why(database, jobs[0]) == "next"


def test_busy_running_and_ended(database: Database, submit, worker):
    worker(WorkerState.BUSY)
    first, second = submit(), submit()
    with database.exclusive() as session:
        one = claim(session, Queue.LIGHT, "w")
    assert why(database, first) == ""
    assert why(database, second) == "the workers of the queue 'light' are busy"
    with database.transaction() as session:
        lifecycle.finish(session, one.unit_id, one.attempt)
    assert why(database, first) == ""


def test_counts(database: Database, submit, worker):
    worker(WorkerState.READY, queues=("light", "generation"))
    worker(WorkerState.STARTING, name="new")
    submit(units=3)
    held = submit(units=2)
    with database.exclusive() as session:
        claim(session, Queue.LIGHT, "w")
    with database.transaction() as session:
        control.pause(session, held.id)
    with database.reading() as session:
        assert queue_counts(session) == {
            Queue.TRAINING: QueueCounts(0, 0, 0, 0),
            Queue.GENERATION: QueueCounts(0, 0, 0, 1),
            Queue.LIGHT: QueueCounts(2, 2, 1, 1),
        }
