"""Paused queues and drained workers give and get nothing, from the very next claim on."""

from __future__ import annotations

import pytest

from core.errors import InputError
from core.models.jobs import Queue
from core.models.workers import Worker, WorkerState
from core.queue.claim import claim
from core.queue.queues import (
    apply_start,
    choose_start,
    drain,
    pause_queues,
    queue_controls,
    queue_named,
    resume_queues,
)
from core.records.database import Database
from tests.tools.claims import finish_and_claim


def take(database: Database, queue: Queue = Queue.LIGHT, worker: str = "w"):
    with database.exclusive() as session:
        return claim(session, queue, worker)


def test_a_paused_queue_gives_nothing_and_the_others_go_on(database: Database, submit):
    submit(queue=Queue.LIGHT, units=2)
    submit(queue=Queue.TRAINING)
    running = take(database)
    with database.transaction() as session:
        pause_queues(session, [Queue.LIGHT], "ann")
    assert take(database) is None
    with database.exclusive() as session:
        assert finish_and_claim(session, running, Queue.LIGHT, "w") is None, "what runs goes on to its end"
    assert take(database, Queue.TRAINING) is not None
    with database.transaction() as session:
        control = queue_controls(session)[Queue.LIGHT]
        assert (control.paused, control.stop_running, control.changed_by) == (True, False, "ann")
        resume_queues(session, [Queue.LIGHT], "bob")
    assert take(database) is not None


def test_the_choice_for_the_next_start(database: Database, submit):
    submit()
    with database.transaction() as session:
        assert apply_start(session) == []
        choose_start(session, [Queue.LIGHT], "ann", paused=True)
    assert take(database) is not None, "the choice is for the next start"
    with database.transaction() as session:
        assert apply_start(session) == [Queue.LIGHT]
        assert {queue: row.paused for queue, row in queue_controls(session).items()} == {
            Queue.TRAINING: False,
            Queue.GENERATION: False,
            Queue.LIGHT: True,
        }
        assert apply_start(session, paused=True) == list(Queue)


def test_a_drained_worker_gets_nothing_new(database: Database, submit):
    submit(units=3)
    with database.transaction() as session:
        for name in ("w", "v"):
            session.add(Worker(name=name, host="h", pid=1, queues=["light"], state=WorkerState.READY))
    running = take(database)
    with database.transaction() as session:
        assert drain(session, "w").draining
    with database.exclusive() as session:
        assert finish_and_claim(session, running, Queue.LIGHT, "w") is None
        assert claim(session, Queue.LIGHT, "v") is not None
    with database.transaction() as session:
        assert not drain(session, "w", draining=False).draining
        with pytest.raises(InputError, match="no worker 'x'; known are: v, w"):
            drain(session, "x")
    assert take(database).attempt == 1


def test_names_of_queues():
    assert queue_named("light") is Queue.LIGHT
    with pytest.raises(InputError, match="queue: 'heavy' is unknown; allowed are training, generation, light"):
        queue_named("heavy")
