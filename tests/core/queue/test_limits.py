"""Limits of people: refused with the limit and when it frees, exact under races, and never in others' way."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import update

from core.errors import LimitError
from core.models.base import utc_now
from core.models.datasets import Dataset
from core.models.generations import Generation
from core.models.jobs import Job, Queue, Unit
from core.models.queues import EVERYBODY, PersonLimit, UsageDay
from core.models.workers import Worker, WorkerState
from core.queue.claim import Claim, claim
from core.queue.lifecycle import finish
from core.queue.limits import block_spent, limits_of
from core.queue.recovery import lose
from core.queue.usage import gpus_held, record_gpu_use, usages_of
from core.queue.waiting import why_waiting
from core.records.database import Database


def take(database: Database, queue: Queue = Queue.LIGHT) -> Claim | None:
    with database.exclusive() as session:
        return claim(session, queue, "w")


@pytest.fixture
def limit(database: Database) -> Callable[..., None]:
    """Sets the limits of an owner, or of everybody."""

    def put(owner: str = EVERYBODY, **values: float) -> None:
        with database.transaction() as session:
            session.merge(PersonLimit(owner=owner, **values))

    return put


def test_an_own_row_takes_the_place_of_everybodys(database: Database, limit):
    limit(waiting_jobs=3, running_units=1)
    limit("ann", running_units=5)
    with database.reading() as session:
        assert limits_of(session, "bob").waiting_jobs == 3
        assert not limits_of(session, "bob").own
        ann = limits_of(session, "ann")
        assert (ann.waiting_jobs, ann.running_units, ann.own) == (None, 5, True)


def test_waiting_jobs(database: Database, submit, limit):
    limit(waiting_jobs=2)
    first = submit(owner="ann")
    submit(owner="ann")
    with pytest.raises(LimitError, match=r"ann has 2 waiting jobs, and the limit is 2: it frees with each job that"):
        submit(owner="ann")
    submit(owner="bob")
    assert take(database).job_id == first.id
    submit(owner="ann")


def test_of_many_submissions_at_once_no_more_than_the_limit_pass(database: Database, submit, limit):
    limit("ann", waiting_jobs=3)

    def attempt(_: int) -> bool:
        try:
            submit(owner="ann")
        except LimitError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 3


def test_running_units_hold_back_their_owner_only(database: Database, submit, limit):
    limit("ann", running_units=2)
    with database.transaction() as session:
        session.add(Worker(name="w", host="h", pid=1, queues=["light"], state=WorkerState.READY))
    waiting = submit(owner="ann", units=9, priority=1)
    low = submit(owner="bob", units=1, priority=-1)
    first = take(database)
    submit(owner="ann", queue=Queue.TRAINING)
    assert take(database, Queue.TRAINING).owner == "ann"
    assert take(database).job_id == low.id, "whoever is at the limit is passed over, whatever the priority"
    assert take(database) is None
    later = submit(owner="ann")
    with database.reading() as session:
        assert why_waiting(session, session.get_one(Job, later.id)) == "ann runs 2 of at most 2 units at a time"
    with database.transaction() as session:
        finish(session, first.unit_id, first.attempt)
    assert take(database).job_id == waiting.id


def test_how_many_gpus_a_unit_holds():
    assert [gpus_held(device, Queue.TRAINING) for device in ("cpu", "CPU", "gpu", "4 gpus", "")] == [0, 0, 1, 4, 0]
    assert gpus_held("4 gpus", Queue.GENERATION) == 1, "composing uses the first"
    assert gpus_held("4 gpus", Queue.LIGHT) == 0


def test_gpu_hours_of_a_week(database: Database, submit, limit, monkeypatch: pytest.MonkeyPatch):
    now = utc_now()  # no midnight comes while the test runs
    monkeypatch.setattr("core.queue.usage.utc_now", lambda: now)
    limit(gpu_hours_week=2)
    submit(owner="ann", queue=Queue.TRAINING, units=3)
    submit(owner="bob", queue=Queue.TRAINING)
    claimed = take(database, Queue.TRAINING)
    today = now.date()
    with database.transaction() as session:
        session.add(UsageDay(owner="ann", day=today - timedelta(days=7), gpu_seconds=90_000))
        session.add(UsageDay(owner="ann", day=today - timedelta(days=6), gpu_seconds=3600))
        record_gpu_use(session, claimed, "gpu", 1800)
        record_gpu_use(session, claimed, "2 gpus", 900)
        record_gpu_use(session, claimed, "cpu", 10**6)
        finish(session, claimed.unit_id, claimed.attempt)
        usage = usages_of(session, ["ann"])["ann"]
        assert usage.gpu_hours_week == pytest.approx(2.0), "what was before the week does not count"
        assert usage.gpu_hours_free_at.date() == today + timedelta(days=1)
    frees = f"the first of them fall out of the week on {today + timedelta(days=1):%Y-%m-%d} at 00:00 UTC"
    with pytest.raises(
        LimitError, match=f"ann has used 2.0 GPU hours in the last 7 days, and the limit is 2.0: {frees}"
    ):
        submit(owner="ann", queue=Queue.TRAINING)
    submit(owner="ann", queue=Queue.LIGHT)
    with database.transaction() as session:
        block_spent(session)
    assert take(database, Queue.TRAINING).owner == "bob"
    assert take(database, Queue.TRAINING) is None
    limit(gpu_hours_week=3)
    with database.transaction() as session:
        block_spent(session)
    assert take(database, Queue.TRAINING).owner == "ann"


def test_a_gpu_that_was_lost_counts_too(database: Database, submit):
    with database.transaction() as session:
        session.add(Worker(name="w", host="h", pid=1, queues=["training"], state=WorkerState.BUSY, device="gpu"))
    submit(owner="ann", queue=Queue.TRAINING)
    claimed = take(database, Queue.TRAINING)
    with database.transaction() as session:
        session.execute(update(Unit).values(claimed_at=utc_now() - timedelta(hours=1)))
        running = usages_of(session, ["ann"])["ann"]
        assert (running.running_units, running.gpu_hours_week) == (1, pytest.approx(1.0, abs=0.01))
        lose(session, session.get_one(Job, claimed.job_id), claimed.unit_id, claimed.attempt, 3)
    with database.reading() as session:
        assert usages_of(session, ["ann"])["ann"].gpu_hours_week == pytest.approx(1.0, abs=0.01)


def test_stored_bytes(database: Database, submit, limit):
    limit("ann", storage_bytes=3 * 2**20)
    with database.transaction() as session:
        shared = {"model_name": "m", "model_hash": "h", "name": "g", "settings": {}, "takes_total": 1}
        session.add(Generation(owner="ann", stored_bytes=2 * 2**20, **shared))
        session.add(Generation(owner="bob", stored_bytes=9 * 2**20, **shared))
    submit(owner="ann")
    with database.transaction() as session:
        session.add(Dataset(name="d", owner="ann", source={}, stored_bytes=2**20))
    with pytest.raises(LimitError, match=r"ann stores 3\.0 MiB, and the limit is 3\.0 MiB: it frees when"):
        submit(owner="ann")
    submit(owner="bob")
