"""What becomes of a unit and its job, and that a worker which was overtaken can change nothing."""

from __future__ import annotations

import pytest

from core.errors import ConflictError, NotFoundError, SupersededError
from core.models.jobs import Job, JobLog, JobState, Queue, Unit
from core.queue import control, lifecycle
from core.queue.claim import Claim, claim
from core.queue.logs import LINES_LIMIT, log
from core.records.database import Database


def take(database: Database) -> Claim:
    with database.exclusive() as session:
        claimed = claim(session, Queue.LIGHT, "w")
    assert claimed is not None
    return claimed


def do(database: Database, function, *arguments):
    with database.transaction() as session:
        return function(session, *arguments)


def job_of(database: Database, job_id: int) -> Job:
    with database.reading() as session:
        return session.get(Job, job_id)


def states(database: Database, job_id: int) -> list[str]:
    with database.reading() as session:
        return [unit.state.value for unit in session.query(Unit).where(Unit.job_id == job_id).order_by(Unit.index)]


GUARDED = {
    "hold_unit": (lifecycle.hold_unit,),
    "beat": (lifecycle.beat,),
    "mark_progressed": (lifecycle.mark_progressed,),
    "finish": (lifecycle.finish,),
    "fail": (lifecycle.fail, "a sentence", "a trace"),
    "release": (lifecycle.release,),
}


@pytest.mark.parametrize("name", GUARDED)
def test_an_attempt_that_was_overtaken_is_refused(database: Database, submit, name):
    function, *more = GUARDED[name]
    job = submit()
    old = take(database)
    do(database, lifecycle.release, old.unit_id, old.attempt)
    with pytest.raises(SupersededError, match="Attempt 1 no longer runs"):
        do(database, function, old.unit_id, old.attempt, *more)
    new = take(database)
    assert new.attempt == 2
    with pytest.raises(SupersededError):
        do(database, function, old.unit_id, old.attempt, *more)
    assert states(database, job.id) == ["running"]
    do(database, function, new.unit_id, new.attempt, *more)


def test_what_a_refused_transaction_wrote_is_gone(database: Database, submit):
    job = submit()
    old = take(database)
    do(database, lifecycle.release, old.unit_id, old.attempt)

    def write_then_ask(session) -> None:
        log(session, job.id, "written before the guard")
        lifecycle.hold_unit(session, old.unit_id, old.attempt)

    with pytest.raises(SupersededError):
        do(database, write_then_ask)
    with database.reading() as session:
        assert session.query(JobLog).count() == 0


def test_progress_of_an_attempt_that_was_overtaken_is_dropped(database: Database, submit):
    job = submit()
    old = take(database)
    progress: lifecycle.Progress = {"progress_done": 3.0, "phase": "reading", "live": {"loss": 2.5}}
    do(database, lifecycle.save_progress, old.unit_id, old.attempt, progress)
    stored = job_of(database, job.id)
    assert (stored.progress_done, stored.phase, stored.live) == (3.0, "reading", {"loss": 2.5})
    do(database, lifecycle.release, old.unit_id, old.attempt)
    do(database, lifecycle.save_progress, old.unit_id, old.attempt, {"progress_done": 9.0})
    assert job_of(database, job.id).progress_done == 3.0


def test_a_job_follows_its_units_to_success(database: Database, submit):
    job = submit(units=2)
    assert job_of(database, job.id).state is JobState.QUEUED
    first = take(database)
    assert job_of(database, job.id).state is JobState.RUNNING
    do(database, lifecycle.finish, first.unit_id, first.attempt)
    # Under way, though nothing of it runs at this moment.
    assert job_of(database, job.id).state is JobState.RUNNING
    second = take(database)
    do(database, lifecycle.finish, second.unit_id, second.attempt)
    done = job_of(database, job.id)
    assert done.state is JobState.SUCCEEDED
    assert done.finished_at >= done.started_at >= done.created_at


def test_a_job_whose_only_unit_went_back_is_queued_again(database: Database, submit):
    job = submit()
    first = take(database)
    do(database, lifecycle.release, first.unit_id, first.attempt)
    assert job_of(database, job.id).state is JobState.QUEUED
    assert states(database, job.id) == ["waiting"]


def test_a_failure_ends_what_waits_and_lets_what_runs_go_on(database: Database, submit):
    job = submit(units=4)
    one, two = take(database), take(database)
    do(database, lifecycle.fail, one.unit_id, one.attempt, "The file is broken.", "Traceback …")
    assert states(database, job.id) == ["failed", "running", "cancelled", "cancelled"]
    assert job_of(database, job.id).state is JobState.RUNNING
    do(database, lifecycle.finish, two.unit_id, two.attempt)
    failed = job_of(database, job.id)
    assert (failed.state, failed.error, failed.error_trace) == (JobState.FAILED, "The file is broken.", "Traceback …")
    assert failed.finished_at is not None


def test_a_unit_given_back_after_a_failure_of_its_job_is_not_run_again(database: Database, submit):
    job = submit(units=2)
    one, two = take(database), take(database)
    do(database, lifecycle.fail, one.unit_id, one.attempt, "Broken.")
    do(database, lifecycle.release, two.unit_id, two.attempt)
    assert states(database, job.id) == ["failed", "cancelled"]
    assert job_of(database, job.id).state is JobState.FAILED


def test_cancelling_a_waiting_job_is_immediate(database: Database, submit):
    job = submit(units=3)
    do(database, control.cancel, job.id)
    assert states(database, job.id) == ["cancelled"] * 3
    assert job_of(database, job.id).state is JobState.CANCELLED


def test_cancelling_a_running_job_waits_for_its_worker(database: Database, submit):
    job = submit(units=2)
    one = take(database)
    do(database, control.cancel, job.id)
    do(database, control.cancel, job.id)
    flagged = job_of(database, job.id)
    assert flagged.cancel_requested
    assert flagged.state is JobState.RUNNING
    assert states(database, job.id) == ["running", "cancelled"]
    do(database, lifecycle.release, one.unit_id, one.attempt)
    assert job_of(database, job.id).state is JobState.CANCELLED


def test_a_job_that_was_quicker_than_its_cancelling_has_succeeded(database: Database, submit):
    job = submit()
    one = take(database)
    do(database, control.cancel, job.id)
    do(database, lifecycle.finish, one.unit_id, one.attempt)
    assert job_of(database, job.id).state is JobState.SUCCEEDED


def test_pause_holds_and_resume_lets_go(database: Database, submit):
    job = submit(units=2)
    one = take(database)
    do(database, control.pause, job.id)
    assert states(database, job.id) == ["running", "held"]
    do(database, lifecycle.release, one.unit_id, one.attempt)
    assert states(database, job.id) == ["held", "held"]
    paused = job_of(database, job.id)
    assert paused.paused
    assert paused.state is JobState.QUEUED
    with database.exclusive() as session:
        assert claim(session, Queue.LIGHT, "w") is None
    do(database, control.resume, job.id)
    assert states(database, job.id) == ["waiting", "waiting"]
    assert take(database).attempt == 2


def test_a_pause_taken_back_before_the_worker_saw_it(database: Database, submit):
    job = submit()
    one = take(database)
    do(database, control.pause, job.id)
    do(database, control.resume, job.id)
    do(database, lifecycle.release, one.unit_id, one.attempt)
    assert states(database, job.id) == ["waiting"]


def test_cancelling_a_paused_job(database: Database, submit):
    job = submit()
    do(database, control.pause, job.id)
    do(database, control.cancel, job.id)
    cancelled = job_of(database, job.id)
    assert cancelled.state is JobState.CANCELLED
    assert not cancelled.paused


@pytest.mark.parametrize("end", ["finish", "fail", "cancel"])
def test_what_has_ended_cannot_be_changed(database: Database, submit, end):
    job = submit()
    if end == "cancel":
        do(database, control.cancel, job.id)
        word = "cancelled"
    else:
        one = take(database)
        if end == "finish":
            do(database, lifecycle.finish, one.unit_id, one.attempt)
        else:
            do(database, lifecycle.fail, one.unit_id, one.attempt, "Broken.")
        word = {"finish": "done", "fail": "failed"}[end]
    for function, verb in ((control.cancel, "cancelled"), (control.pause, "paused"), (control.resume, "resumed")):
        with pytest.raises(ConflictError, match=f"Job {job.id} is {word} already, so it cannot be {verb}"):
            do(database, function, job.id)


def test_a_job_that_is_being_cancelled_cannot_be_paused(database: Database, submit):
    job = submit()
    take(database)
    do(database, control.cancel, job.id)
    with pytest.raises(ConflictError, match="being cancelled"):
        do(database, control.pause, job.id)


@pytest.mark.parametrize("function", [control.cancel, control.pause, control.resume])
def test_an_unknown_job(database: Database, function):
    with pytest.raises(NotFoundError, match="no job 77"):
        do(database, function, 77)


def test_a_deleted_job_takes_its_units_with_it(database: Database, submit):
    job = submit(units=2)
    one = take(database)
    with database.transaction() as session:
        session.delete(session.get(Job, job.id))
    with pytest.raises(SupersededError, match="deleted"):
        do(database, lifecycle.finish, one.unit_id, one.attempt)
    with database.reading() as session:
        assert session.query(Unit).count() == 0


def test_a_log_keeps_its_newest_lines(database: Database, submit):
    job, other = submit(), submit()
    do(database, log, other.id, "of another job")
    with database.transaction() as session:
        session.add_all(JobLog(job_id=job.id, message=str(n)) for n in range(LINES_LIMIT))
    do(database, log, job.id, "the last", "warning")
    do(database, log, job.id, "x" * 10_000)
    with database.reading() as session:
        lines = session.query(JobLog).where(JobLog.job_id == job.id).order_by(JobLog.id).all()
        assert len(lines) == LINES_LIMIT
        assert lines[0].message == "2"
        assert (lines[-2].message, lines[-2].level) == ("the last", "warning")
        assert len(lines[-1].message) == 4000
        assert session.query(JobLog).where(JobLog.job_id == other.id).count() == 1


def test_changes_are_announced_only_after_the_commit(database: Database, submit):
    published: list[list[str]] = []
    database.changes.publish = lambda topics: published.append(list(topics))
    job = submit()
    assert published == [[f"job:{job.id}", "jobs"]]
    published.clear()

    def change_then_fail(session) -> None:
        control.pause(session, job.id)
        lifecycle.hold_unit(session, 999, 1)

    with pytest.raises(SupersededError):
        do(database, change_then_fail)
    assert published == []
