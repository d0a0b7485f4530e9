"""Real Celery workers over a real Valkey: outcomes, faults, kills. Each unit ends once, whatever is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from core.models.jobs import Job, JobLog, JobState, Queue, Unit
from core.models.workers import Worker, WorkerState
from core.queue import control
from core.queue.queues import choose_start, queue_controls, resume_queues
from core.queue.waiting import why_waiting
from core.records.database import Database
from tests.tools.stopping import stopped
from worker import health

pytestmark = pytest.mark.slow

# What is told to stop stops within a second or two; a slow and busy machine may need longer.
_SOON_SECONDS = 30.0

# Processes are slow to start, and the statements are tested on both databases elsewhere.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def units(database: Database) -> list[Unit]:
    with database.reading() as session:
        return session.query(Unit).order_by(Unit.id).all()


def worker_row(database: Database, name: str = "w") -> Worker | None:
    with database.reading() as session:
        return session.get(Worker, name)


def is_in(database: Database, state: WorkerState, name: str = "w"):
    return lambda: (row := worker_row(database, name)) is not None and row.state is state


def change(database: Database, function, job: Job) -> None:
    with database.transaction() as session:
        function(session, job.id)


def has_ended(pid: int) -> bool:
    """Whether a process is gone; one that nobody has asked for its outcome yet counts as gone."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_outcomes(database, start, submit, until, lines, job_of):
    """One worker, one job after the other: each ends as its function did, and the worker goes on."""
    start("worker", "w")
    good, refused, stumbled, overeaten = (submit(do) for do in ("nothing", "refuse", "stumble", "overeat"))
    many = submit(units=20)
    until(lambda: job_of(many).state.is_final)
    assert [job_of(job).state.value for job in (good, many)] == ["succeeded"] * 2
    assert (job_of(good).progress_done, job_of(good).progress_unit) == (1, "things")
    for job, sentence in ((refused, "holds no notes"), (stumbled, "ZeroDivisionError"), (overeaten, "out of memory")):
        assert job_of(job).state is JobState.FAILED
        assert sentence in job_of(job).error
        assert "Traceback" in job_of(job).error_trace
        assert "unit_functions.py" in job_of(job).error_trace
    ran = lines("ledger")
    assert len(ran) == len({unit for unit, _, _ in ran}) == 21
    assert len({pid for _, _, pid in ran}) == 1
    until(is_in(database, WorkerState.READY))
    row = worker_row(database)
    assert (row.state, row.unit_id, row.units_done, row.device) == (WorkerState.READY, None, 24, "CPU")


@on_sqlite
def test_pause_resume_cancel_and_one_that_does_not_listen(database, start, submit, until, lines, job_of, tmp_path):
    start("worker", "w")
    job = submit("wait")
    until(lambda: job_of(job).phase == "waiting")
    change(database, control.pause, job)
    until(lambda: units(database)[0].state == "held", _SOON_SECONDS)
    assert job_of(job).state is JobState.QUEUED
    until(is_in(database, WorkerState.READY), _SOON_SECONDS)
    change(database, control.resume, job)
    submit("nothing")  # its ticket is as good for the resumed one
    until(lambda: units(database)[0].state == "running", _SOON_SECONDS)
    change(database, control.cancel, job)
    until(lambda: job_of(job).state is JobState.CANCELLED, _SOON_SECONDS)
    until(lambda: len(lines("ledger")) == 1)

    deaf = submit("be deaf")
    until(lambda: len(lines("started")) == 4)
    change(database, control.cancel, deaf)
    until(lambda: job_of(deaf).state is JobState.CANCELLED, _SOON_SECONDS)
    after = submit("nothing")
    until(lambda: job_of(after).state is JobState.SUCCEEDED)
    (_, _, old), (_, _, new) = lines("started")[-2:]
    assert old != new
    until(lambda: not psutil.pid_exists(old))


@on_sqlite
def test_a_killed_child_and_a_killed_parent(database, start, submit, until, lines, job_of, tmp_path):
    parent = start("worker", "w")
    job = submit("wait", units=2)
    until(lambda: len(lines("started")) == 1)
    os.kill(lines("started")[0][2], signal.SIGKILL)
    # The parent starts another child, which takes back what the first held; no ticket is left, so one is sent.
    until(lambda: units(database)[0].strikes == 1)
    submit("nothing")
    until(lambda: len(lines("started")) == 2)

    child = lines("started")[1][2]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: has_ended(child))
    (tmp_path / "go").touch()
    start("worker", "w")
    submit("nothing")
    until(lambda: all(unit.state == "done" for unit in units(database)))
    assert job_of(job).state is JobState.SUCCEEDED
    ran = [unit for unit, _, _ in lines("ledger")]
    assert sorted(ran) == [unit.id for unit in units(database)]


@on_sqlite
def test_a_job_that_kills_its_worker_fails_at_last_and_blocks_nobody(database, start, submit, until, lines, job_of):
    start("worker", "w")
    start("maintenance")
    poison, after = submit("die"), submit("nothing")
    until(lambda: job_of(poison).state.is_final and job_of(after).state.is_final)
    assert job_of(after).state is JobState.SUCCEEDED
    assert job_of(poison).state is JobState.FAILED
    assert "3 times in a row" in job_of(poison).error
    with database.reading() as session:
        told = [(row.at, row.message) for row in session.query(JobLog).where(JobLog.job_id == poison.id)]
    assert [message for _, message in told] == ["The worker 'w' was lost; the work goes back to the queue."] * 2, told


def test_sigterm_gives_the_unit_back_without_a_strike(database, start, submit, until, lines, job_of):
    worker = start("worker", "w")
    job = submit("wait", units=3)
    until(lambda: len(lines("started")) == 1)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert [unit.state.value for unit in units(database)] == ["waiting"] * 3
    assert units(database)[0].strikes == 0
    assert job_of(job).state is JobState.QUEUED
    assert worker_row(database).state is WorkerState.GONE
    assert not Path(f"/proc/{lines('started')[0][2]}").exists()


@on_sqlite
def test_a_frozen_worker_wakes_up_and_does_no_harm(
    database, database_url, start, submit, until, lines, job_of, tmp_path
):
    start("worker", "w")
    job = submit("be deaf")
    until(lambda: len(lines("started")) == 1)
    unit, _, frozen = lines("started")[0]
    with stopped(frozen, database_url):
        start("maintenance")
        start("worker", "v")
        until(lambda: len(lines("started")) == 2)
        (tmp_path / "go").touch()
        until(lambda: job_of(job).state is JobState.SUCCEEDED)
    until(is_in(database, WorkerState.READY))  # awake again, it drops what it had and goes on
    assert [(line[0], line[1]) for line in lines("ledger")] == [(unit, 2)]
    assert [(u.state.value, u.attempt) for u in units(database)] == [("done", 2)]


@on_sqlite
def test_valkey_killed_and_started_again(
    database, environment, start, start_valkey, submit, until, lines, job_of, tmp_path
):
    folder = tmp_path / "valkey"
    folder.mkdir()
    environment["CADENZA_BROKER_URL"] = f"redis+socket://{folder / 'valkey.sock'}"
    server = start_valkey(folder)
    start("worker", "w")
    start("maintenance")
    running = submit("wait", ticket=False)
    until(lambda: len(lines("started")) == 1)
    server.send_signal(signal.SIGKILL)
    server.wait()
    queued = [submit(ticket=False) for _ in range(3)]
    (tmp_path / "go").touch()
    until(lambda: job_of(running).state is JobState.SUCCEEDED)
    # The worker goes on with what waits even without a broker; what comes later waits for it.
    until(lambda: all(job_of(job).state is JobState.SUCCEEDED for job in queued))
    late = submit(ticket=False)
    start_valkey(folder)
    until(lambda: job_of(late).state is JobState.SUCCEEDED)
    assert len(lines("ledger")) == 5


@on_sqlite
def test_a_worker_whose_tasks_cannot_be_loaded_takes_nothing_and_says_why(
    database, start, submit, until, job_of, environment, quick, monkeypatch, capsys
):
    """Nor does it count as one that serves. Started again with its tasks, it works."""
    environment["TEST_BROKEN_TASKS"] = "1"
    broken = start("worker", "w")
    job = submit()
    until(lambda: (row := worker_row(database)) is not None and row.problem)
    row = worker_row(database)
    assert row.state is WorkerState.STARTING
    assert "kind audio cannot run here: ModuleNotFoundError: No module named 'no_such_module'" in row.problem
    with database.reading() as session:
        assert why_waiting(session, session.get(Job, job.id)).startswith("the worker 'w' cannot load what it needs")
    for name, value in quick.model_dump().items():
        monkeypatch.setenv(f"CADENZA_{name.upper()}", str(value))
    assert health.main([]) == 1
    assert "no_such_module" in capsys.readouterr().err
    broken.send_signal(signal.SIGTERM)
    broken.wait(_SOON_SECONDS)
    assert job_of(job).state is JobState.QUEUED
    del environment["TEST_BROKEN_TASKS"]
    start("worker", "w")
    start("maintenance")
    until(lambda: job_of(job).state is JobState.SUCCEEDED)
    assert worker_row(database).problem == ""


@on_sqlite
def test_the_choice_for_restarts_holds_whatever_starts_the_parts(database, start, submit, until, job_of):
    """A worker by itself, as Compose starts one; the next one finds the system running."""
    with database.transaction() as session:
        choose_start(session, list(Queue), "ada", paused=True)
    start("maintenance")
    start("worker", "w")
    job = submit()
    until(is_in(database, WorkerState.READY))
    with database.reading() as session:
        assert all(control.paused for control in queue_controls(session).values())
    assert job_of(job).state is JobState.QUEUED
    with database.transaction() as session:
        resume_queues(session, list(Queue), "ada")
    start("worker", "w2")
    until(lambda: job_of(job).state is JobState.SUCCEEDED)
    until(is_in(database, WorkerState.READY, "w2"))
    with database.reading() as session:
        assert not any(control.paused for control in queue_controls(session).values())
