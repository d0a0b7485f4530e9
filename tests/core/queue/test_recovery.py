"""Silence is judged by the observer's own clock; strikes count only attempts that brought nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event

from core.errors import SupersededError
from core.models.base import utc_now
from core.models.jobs import Job, JobLog, JobState, Queue, Unit
from core.models.queues import UsageDay
from core.models.workers import Worker, WorkerState
from core.queue import control, lifecycle, recovery
from core.queue.claim import Claim, claim
from core.queue.recovery import Observer, Recovered, free_units_of
from core.records.database import Database


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def observer(database: Database, clock: Clock) -> Observer:
    return Observer(database, lost_after_seconds=12.0, attempts_limit=3, clock=clock)


def take(database: Database, worker: str = "w") -> Claim:
    with database.exclusive() as session:
        claimed = claim(session, Queue.LIGHT, worker)
    assert claimed is not None
    return claimed


def unit_of(database: Database, claimed: Claim) -> Unit:
    with database.reading() as session:
        return session.get(Unit, claimed.unit_id)


def lose(observer: Observer, clock: Clock) -> Recovered:
    observer.look()
    clock.now += 12.0
    return observer.look()


def test_a_unit_that_beats_stays(database: Database, submit, observer, clock):
    submit()
    one = take(database)
    for _ in range(5):
        assert observer.look() == Recovered()
        clock.now += 11.0
        with database.transaction() as session:
            lifecycle.beat(session, one.unit_id, one.attempt)
    assert unit_of(database, one).state == "running"


def test_a_silent_unit_goes_back_with_a_strike_and_a_line_in_the_log(database: Database, submit, observer, clock):
    job = submit()
    one = take(database)
    assert lose(observer, clock).units == (one.unit_id,)
    unit = unit_of(database, one)
    assert (unit.state, unit.strikes, unit.worker) == ("waiting", 1, "")
    with database.reading() as session:
        assert session.get(Job, job.id).state is JobState.QUEUED
        assert "'w' was lost" in session.query(JobLog).one().message
    with pytest.raises(SupersededError), database.transaction() as session:
        lifecycle.finish(session, one.unit_id, one.attempt)
    assert take(database).attempt == 2


def test_silence_starts_anew_with_each_attempt(database: Database, submit, observer, clock):
    submit()
    one = take(database)
    observer.look()
    clock.now += 11.0
    with database.transaction() as session:
        lifecycle.release(session, one.unit_id, one.attempt)
    take(database)
    observer.look()
    clock.now += 2.0
    assert observer.look() == Recovered()


def test_after_the_last_strike_the_job_fails_with_a_reason(database: Database, submit, observer, clock):
    job = submit(units=2)
    for strike in (1, 2):
        take(database)
        lose(observer, clock)
        with database.reading() as session:
            assert next(u.strikes for u in session.query(Unit).order_by(Unit.id)) == strike
    take(database)
    lose(observer, clock)
    with database.reading() as session:
        failed = session.get(Job, job.id)
        assert failed.state is JobState.FAILED
        assert "3 times in a row" in failed.error
        assert [u.state.value for u in session.query(Unit).order_by(Unit.id)] == ["failed", "cancelled"]


def test_an_attempt_that_made_progress_is_no_strike_and_forgives_earlier_ones(database, submit, observer, clock):
    submit()
    for _ in range(2):
        take(database)
        lose(observer, clock)
    for _ in range(6):  # killed from outside again and again, it goes on as long as it makes progress
        one = take(database)
        with database.transaction() as session:
            lifecycle.mark_progressed(session, one.unit_id, one.attempt)
        lose(observer, clock)
        unit = unit_of(database, one)
        assert (unit.state, unit.strikes) == ("waiting", 0)
    one = take(database)
    lose(observer, clock)
    assert unit_of(database, one).strikes == 1


def test_a_release_is_no_strike(database: Database, submit):
    submit()
    for _ in range(5):
        one = take(database)
        with database.transaction() as session:
            lifecycle.release(session, one.unit_id, one.attempt)
    assert unit_of(database, one).strikes == 0


@pytest.mark.parametrize(("change", "state"), [(control.cancel, "cancelled"), (control.pause, "held")])
def test_a_lost_unit_follows_what_was_asked_of_its_job(database, submit, observer, clock, change, state):
    job = submit()
    one = take(database)
    with database.transaction() as session:
        change(session, job.id)
    lose(observer, clock)
    assert unit_of(database, one).state == state


def test_a_beat_at_the_last_moment_saves_the_unit(database: Database, submit, observer, clock):
    submit()
    one = take(database)
    observer.look()
    clock.now += 12.0

    def beat_just_before(connection, cursor, statement, *_):
        """The worker's beat comes between the observer's look and its taking back."""
        if statement.startswith("SELECT unit.worker"):
            connection.exec_driver_sql("UPDATE unit SET beat = beat + 1")

    event.listen(database.engine, "before_cursor_execute", beat_just_before)
    assert observer.look() == Recovered()
    assert unit_of(database, one).state == "running"


def test_a_new_process_of_a_worker_takes_back_what_the_old_one_held(database: Database, submit):
    submit(units=3)
    mine, others = take(database, "w1"), take(database, "w2")
    with database.transaction() as session:
        assert free_units_of(session, "w1", attempts_limit=3) == [mine.unit_id]
    assert unit_of(database, mine).state == "waiting"
    assert unit_of(database, others).state == "running"


def test_what_was_taken_back_by_another_meanwhile_leaves_no_second_trace(database: Database, submit):
    """Maintenance and a new process of the worker find the same lost unit at once."""
    job = submit(queue=Queue.TRAINING)
    with database.exclusive() as session:
        claimed = claim(session, Queue.TRAINING, "w")
        assert claimed is not None
    with database.transaction() as session:
        session.add(Worker(name="w", host="h", pid=1, queues=["training"], device="2 gpus", state=WorkerState.READY))
        session.get_one(Unit, claimed.unit_id).claimed_at = utc_now() - timedelta(hours=1)
    with database.transaction() as session:
        recovery.lose(session, lifecycle.lock_job_of(session, claimed.unit_id), claimed.unit_id, claimed.attempt, 3)
    with database.transaction() as session:
        locked = lifecycle.lock_job_of(session, claimed.unit_id)
        with pytest.raises(SupersededError):
            recovery.lose(session, locked, claimed.unit_id, claimed.attempt, 3)
    with database.reading() as session:
        assert session.query(JobLog).where(JobLog.job_id == job.id).count() == 1
        assert session.query(UsageDay).one().gpu_seconds == pytest.approx(2 * 3600, abs=120)


def test_a_silent_worker_is_gone_until_it_comes_back(database: Database, observer, clock):
    with database.transaction() as session:
        session.add(Worker(name="w", host="h", pid=1, queues=["light"], state=WorkerState.READY))
    assert lose(observer, clock).workers == ("w",)
    with database.reading() as session:
        assert session.get(Worker, "w").state is WorkerState.GONE
    assert lose(observer, clock) == Recovered()


def test_looking_writes_nothing_when_nothing_was_lost(database: Database, submit, observer):
    submit(units=2)
    take(database)
    written = []

    def watch(_connection, _cursor, statement, *_):
        if statement.split()[0] not in {"SELECT", "BEGIN", "COMMIT", "ROLLBACK"}:
            written.append(statement)

    event.listen(database.engine, "before_cursor_execute", watch)
    for _ in range(3):
        observer.look()
    assert written == []
