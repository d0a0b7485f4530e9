"""Each owner's own order, and priorities across owners, against a plain list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from core.errors import ConflictError, InputError
from core.models.jobs import Job, Queue, Unit, UnitState
from core.queue import control
from core.queue.claim import claim
from core.queue.order import Priority, move, move_before, priority_name, set_priority
from core.records.database import Database


def take(database: Database) -> int | None:
    with database.exclusive() as session:
        claimed = claim(session, Queue.LIGHT, "w")
    return claimed.job_id if claimed else None


def do(database: Database, action, *arguments) -> None:
    with database.transaction() as session:
        action(session, *arguments)


_MOVES = st.one_of(
    st.tuples(st.integers(0, 4), st.sampled_from(["first", "up", "down", "last"])),
    st.tuples(st.integers(0, 4), st.integers(0, 4)),
)


@hypothesis_settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(_MOVES, max_size=12))
def test_jobs_are_claimed_in_the_order_that_the_moves_gave(database: Database, submit, moves):
    """Any row of moves against the same moves of a plain list; another owner's jobs stay as they are."""
    with database.transaction() as session:
        session.execute(delete(Job))
    submit(owner="bob")
    jobs = [submit(owner="ann", units=2).id for _ in range(5)]
    order = list(jobs)
    for which, how in moves:
        job = jobs[which]
        place = order.index(job)
        if isinstance(how, str):
            do(database, move, job, how)
            target = {"first": 0, "up": max(place - 1, 0), "down": min(place + 1, 4), "last": 4}[how]
            order.insert(target, order.pop(place))
        else:
            do(database, move_before, job, jobs[how])
            if job != jobs[how]:
                order.remove(job)
                order.insert(order.index(jobs[how]), job)
    with database.reading() as session:
        shown = session.scalars(select(Job.id).where(Job.owner == "ann").order_by(Job.position, Job.id)).all()
    assert list(shown) == order
    with database.transaction() as session:
        session.execute(delete(Job).where(Job.owner == "bob"))
    assert [take(database) for _ in range(10)] == [job for job in order for _ in range(2)]


def test_positions_never_run_out(database: Database, submit):
    first, second, third = (submit(owner="ann").id for _ in range(3))
    for _ in range(80):  # halving a gap so often leaves nothing of it
        do(database, move_before, third, second)
        do(database, move_before, second, third)
    assert [take(database) for _ in range(3)] == [first, second, third]


def test_next_comes_before_the_rest_of_what_runs(database: Database, submit):
    many, one = submit(owner="ann", units=5).id, submit(owner="ann").id
    assert take(database) == many
    do(database, move, one, "first")
    assert [take(database) for _ in range(2)] == [one, many]


def test_only_what_waits_is_moved(database: Database, submit):
    running, waiting = submit(owner="ann").id, submit(owner="ann").id
    other = submit(owner="bob").id
    assert take(database) == running
    with pytest.raises(ConflictError, match=f"Job {running} is running; only jobs that wait can be moved"):
        do(database, move, running, "last")
    with pytest.raises(ConflictError, match=f"Job {waiting} cannot be put before job {other}"):
        do(database, move_before, waiting, other)
    do(database, control.cancel, waiting)
    with pytest.raises(ConflictError, match="has ended"):
        do(database, move, waiting, "first")


def test_a_priority_holds_across_owners(database: Database, submit):
    ann, bob, cat = (submit(owner=owner, units=2).id for owner in ("ann", "bob", "cat"))
    do(database, set_priority, bob, Priority.HIGH)
    do(database, set_priority, ann, Priority.LOW)
    assert [take(database) for _ in range(6)] == [bob, bob, cat, cat, ann, ann]
    assert [priority_name(number) for number in (-7, -1, 0, 1, 5)] == ["low", "low", "normal", "high", "high"]
    with pytest.raises(InputError, match="priority: 'urgent' is unknown; allowed are low, normal, high"):
        Priority.named("urgent")


def test_a_job_starts_at_its_time_and_not_before(database: Database, submit):
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    job = submit(owner="ann", units=2)
    do(database, control.start_at, job.id, noon)
    assert take(database) is None
    with database.transaction() as session:
        assert not control.anything_due(session, noon - timedelta(seconds=1))
        assert control.start_due(session, noon - timedelta(seconds=1)) == []
    assert take(database) is None
    do(database, control.resume, job.id)
    assert take(database) is None, "resuming is not starting before the time"
    with database.transaction() as session:
        assert control.anything_due(session, noon)
        assert control.start_due(session, noon) == [job.id]
        assert control.start_due(session, noon) == []
    assert take(database) == job.id
    with pytest.raises(ConflictError, match="has started already"):
        do(database, control.start_at, job.id, noon)


def test_a_paused_job_stays_paused_when_its_time_comes(database: Database, submit):
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    job = submit(owner="ann")
    do(database, control.start_at, job.id, noon)
    do(database, control.pause, job.id)
    do(database, control.start_due, noon)
    assert take(database) is None
    do(database, control.resume, job.id)
    assert take(database) == job.id
    later = submit(owner="ann")
    do(database, control.start_at, later.id, noon)
    do(database, control.start_at, later.id, None)
    with database.reading() as session:
        assert session.scalar(select(Unit.state).where(Unit.job_id == later.id)) is UnitState.WAITING
