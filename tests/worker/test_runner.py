"""The runner in this process, over real databases: what it does when the database or the unit's kind is away."""

from __future__ import annotations

import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from core.artifacts import ArtifactStore
from core.models.jobs import Job, JobKind, JobState, Queue, Unit, UnitState
from core.models.workers import Worker, WorkerState
from core.queue import control, lifecycle
from core.queue.enqueue import enqueue
from core.queue.queues import pause_queues
from core.records.database import Database
from core.settings import Settings
from worker.presence import Presence
from worker.pulse import Pulse
from worker.runner import Runner
from worker.unit_context import Interrupt, UnitContext, UnitInterrupted


@pytest.fixture
def presence(database: Database) -> Presence:
    made = Presence("w", (Queue.LIGHT,))
    with database.transaction() as session:
        made.register(session)
    return made


@pytest.fixture
def pulse(database: Database, settings: Settings, presence: Presence, tmp_path: Path) -> Iterator[Pulse]:
    quick = settings.model_copy(update={"beat_seconds": 0.1})
    made = Pulse(database, quick, presence, tmp_path / "stop", end=lambda _: None)
    yield made
    made.close()


@pytest.fixture
def serve(database: Database, store: ArtifactStore, settings: Settings, presence, pulse, monkeypatch):
    """Queues units, then runs them with a function in this process."""

    def run(function, units: int = 1, kind: JobKind = JobKind.IMPORT) -> Job:
        module = types.ModuleType("units_of_this_test")
        module.run = function
        monkeypatch.setitem(sys.modules, "units_of_this_test", module)
        runner = Runner(
            database, store, settings, presence, pulse, functions={JobKind.IMPORT: "units_of_this_test:run"}
        )
        with database.transaction() as session:
            job = enqueue(
                session,
                kind=kind,
                queue=Queue.LIGHT,
                title="x",
                owner="ann",
                payloads=[{"n": n} for n in range(units)],
                request={},
            )
        runner.serve()
        with database.reading() as session:
            return session.get(Job, job.id)

    return run


def units(database: Database) -> list[Unit]:
    with database.reading() as session:
        return session.query(Unit).order_by(Unit.id).all()


def test_units_run_until_none_waits(database: Database, serve):
    seen = []

    def function(context: UnitContext) -> None:
        context.progress(done=context.payload["n"] + 1, total=3, rate=2.5, rate_unit="files/s")
        seen.append((context.payload["n"], context.attempt))

    job = serve(function, units=3)
    assert seen == [(0, 1), (1, 1), (2, 1)]
    assert (job.state, job.progress_done, job.rate_unit, job.rate) == (JobState.SUCCEEDED, 3.0, "files/s", None)
    with database.reading() as session:
        row = session.get(Worker, "w")
        assert (row.state, row.units_done, row.unit_id) == (WorkerState.READY, 3, None)


def test_a_kind_that_nobody_knows(serve):
    job = serve(lambda context: None, kind=JobKind.EVALUATION)
    assert job.state is JobState.FAILED
    assert "no function runs jobs of kind 'evaluation'" in job.error


def test_a_unit_that_loses_the_database_is_tried_again_but_not_for_ever(database: Database, serve):
    calls = []

    def function(context: UnitContext) -> None:
        calls.append(context.attempt)
        raise OperationalError("INSERT", {}, Exception("the connection is lost"))

    job = serve(function)
    assert calls == [1, 2, 3]
    assert job.state is JobState.FAILED
    assert "3 times in a row" in job.error


def test_what_an_overtaken_unit_writes_is_refused_and_it_is_dropped(database: Database, serve):
    calls = []

    def function(context: UnitContext) -> None:
        calls.append(context.attempt)
        if len(calls) == 1:
            with database.transaction() as session:
                lifecycle.release(session, context.unit_id, context.attempt)
        with context.transaction() as session:
            context.mark_progressed(session)

    job = serve(function)
    assert calls == [1, 2]
    assert job.state is JobState.SUCCEEDED
    assert units(database)[0].progressed


@pytest.mark.parametrize(("change", "reason"), [(control.pause, Interrupt.PAUSE), (control.cancel, Interrupt.CANCEL)])
def test_the_pulse_tells_a_unit_to_stop_and_shows_its_progress(database: Database, serve, pulse, change, reason):
    pulse.start()
    reasons = []

    def function(context: UnitContext) -> None:
        context.progress(done=1, phase="half way")
        deadline = time.monotonic() + 60
        while not _job(database, context.job_id).phase and time.monotonic() < deadline:
            time.sleep(0.01)
        with database.transaction() as session:
            change(session, context.job_id)
        try:
            while time.monotonic() < deadline:
                context.check()
                time.sleep(0.01)
        except UnitInterrupted as interrupted:
            reasons.append(interrupted.reason)
            raise

    job = serve(function)
    assert reasons == [reason]
    assert job.phase == "half way"
    assert units(database)[0].state.value == {Interrupt.PAUSE: "held", Interrupt.CANCEL: "cancelled"}[reason]


def test_the_last_progress_of_quick_units_is_never_lost(database: Database, serve, pulse):
    """The pulse takes figures at any moment, also just before the unit ends."""
    pulse._settings = pulse._settings.model_copy(update={"beat_seconds": 0.001})
    pulse.start()

    def function(context: UnitContext) -> None:
        context.progress(done=context.payload["n"] + 1, live={"n": context.payload["n"]})

    for _ in range(5):
        job = serve(function, units=10)
        assert (job.progress_done, job.live) == (10, {"n": 9})


def test_a_stop_file_stops_the_unit_and_the_worker(database: Database, serve, pulse, tmp_path: Path):
    pulse.start()
    calls = []

    def function(context: UnitContext) -> None:
        calls.append(context.payload["n"])
        (tmp_path / "stop").touch()
        began = time.monotonic()
        while time.monotonic() - began < 60:
            context.check()
            time.sleep(0.01)

    serve(function, units=2)
    assert calls == [0]
    assert [unit.state.value for unit in units(database)] == ["waiting", "waiting"]


def test_a_worker_that_was_taken_for_gone_comes_back(database: Database, presence, pulse):
    with database.transaction() as session:
        presence.show(session, WorkerState.GONE)
    pulse.loaded.set()
    pulse.start()
    deadline = time.monotonic() + 60
    while _state(database) is WorkerState.GONE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _state(database) is WorkerState.READY


def test_a_worker_whose_name_was_taken_takes_nothing_more(database: Database, serve, pulse):
    calls = []

    def function(context: UnitContext) -> None:
        calls.append(context.payload["n"])
        with database.transaction() as session:
            Presence("w", (Queue.LIGHT,), pid=1).register(session)

    serve(function, units=2)
    assert calls == [0]
    assert pulse.stopping.is_set()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_outcome_outlives_an_outage_of_the_database(database: Database, database_url: str, serve):
    """All connections are cut at the end of a unit, and none is let in for a while."""
    url = make_url(database_url)
    administrator = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)

    def allow(allowed: bool) -> None:
        with psycopg.connect(administrator, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS {allowed}')

    def function(context: UnitContext) -> None:
        allow(False)
        with psycopg.connect(administrator, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [url.database]
            )
        with pytest.raises(OperationalError), database.reading() as session:
            session.query(Job).all()
        threading.Timer(1.0, allow, [True]).start()

    assert serve(function).state is JobState.SUCCEEDED
    assert units(database)[0].attempt == 1


def _job(database: Database, job_id: int) -> Job:
    with database.reading() as session:
        return session.get(Job, job_id)


def _state(database: Database) -> WorkerState:
    with database.reading() as session:
        return session.get(Worker, "w").state


def run_until_stopped(context: UnitContext) -> None:
    """As a training does: looks between steps whether it shall stop."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        context.check()
        time.sleep(0.01)
    raise AssertionError("it was not asked to stop")


def test_a_unit_that_yields_comes_after_the_one_who_waited(database: Database, serve, pulse):
    order: list[str] = []

    def function(context: UnitContext) -> None:
        order.append(context.claim.owner)
        if len(order) > 1:
            return
        with database.transaction() as session:
            enqueue(
                session,
                kind=JobKind.IMPORT,
                queue=Queue.LIGHT,
                title="short",
                owner="bob",
                payloads=[{}],
                request={},
            )
            session.execute(update(Unit).where(Unit.id == context.unit_id).values(yield_requested=True))
        run_until_stopped(context)

    pulse.start()
    job = serve(function)
    assert order == ["ann", "bob", "ann"]
    assert job.state is JobState.SUCCEEDED
    with database.reading() as session:
        unit = session.query(Unit).filter_by(job_id=job.id).one()
        assert (unit.attempt, unit.strikes, unit.yield_requested) == (2, 0, False)


def test_what_runs_stops_with_its_queue_and_waits(database: Database, serve, pulse):
    def function(context: UnitContext) -> None:
        with database.transaction() as session:
            pause_queues(session, [Queue.LIGHT], "ann", stop_running=True)
        run_until_stopped(context)

    pulse.start()
    job = serve(function)
    with database.reading() as session:
        unit = session.query(Unit).filter_by(job_id=job.id).one()
        assert (unit.state, unit.strikes, session.get_one(Job, job.id).state) == (UnitState.WAITING, 0, JobState.QUEUED)
