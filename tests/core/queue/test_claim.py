"""Who is served next; each unit once, however many ask at once."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event, text, update

from core.errors import ConflictError, SupersededError
from core.models.jobs import Job, JobKind, JobState, OwnerTurn, Queue, Unit, UnitState
from core.queue.claim import Claim, claim
from core.queue.control import cancel
from core.queue.enqueue import enqueue
from core.records.database import Database
from tests.tools.claims import finish_and_claim


def take(database: Database, queue: Queue = Queue.LIGHT, worker: str = "w") -> Claim | None:
    with database.exclusive() as session:
        return claim(session, queue, worker)


def test_an_empty_queue_gives_nothing(database: Database):
    assert take(database) is None


def test_a_job_without_units_is_refused(database: Database, submit):
    with pytest.raises(ValueError, match="no unit"):
        submit(units=0)


def test_a_claim_carries_what_the_worker_needs(database: Database, submit):
    job = submit(owner="ann", units=2, title="two")
    first = take(database, worker="w1")
    assert first == Claim(first.unit_id, job.id, JobKind.IMPORT, Queue.LIGHT, "ann", "two", 0, 1, {"n": 0})
    with database.reading() as session:
        stored = session.get(Job, job.id)
        assert stored.state is JobState.RUNNING
        assert stored.started_at is not None
        unit = session.get(Unit, first.unit_id)
        assert (unit.state, unit.worker, unit.attempt) == (UnitState.RUNNING, "w1", 1)


def test_queues_are_apart(database: Database, submit):
    submit(queue=Queue.TRAINING)
    assert take(database, Queue.LIGHT) is None
    assert take(database, Queue.TRAINING) is not None


def test_priority_comes_before_everything(database: Database, submit):
    submit(owner="ann", priority=0)
    submit(owner="bob", priority=-1)
    urgent = submit(owner="ann", units=2, priority=5)
    assert [take(database).job_id for _ in range(2)] == [urgent.id] * 2
    assert [take(database).owner for _ in range(2)] == ["ann", "bob"]


def test_an_owner_keeps_the_order_of_submission_and_of_position(database: Database, submit):
    jobs = [submit(owner="ann").id for _ in range(3)]
    with database.transaction() as session:
        session.execute(update(Unit).where(Unit.job_id == jobs[2]).values(position=-1.0))
    assert [take(database).job_id for _ in range(3)] == [jobs[2], jobs[0], jobs[1]]


def test_ten_thousand_units_of_one_do_not_hold_up_another(database: Database, submit):
    submit(owner="ann", units=500)
    current = take(database)
    for _ in range(5):
        with database.exclusive() as session:
            current = finish_and_claim(session, current, Queue.LIGHT, "w")
    submit(owner="bob", units=8)
    owners = []
    for _ in range(16):
        with database.exclusive() as session:
            current = finish_and_claim(session, current, Queue.LIGHT, "w")
        owners.append(current.owner)
    assert owners == ["bob", "ann"] * 8


def test_the_owner_with_fewest_running_units_is_served(database: Database, submit):
    for owner in ("ann", "bob", "cat"):
        submit(owner=owner, units=9)
    assert Counter(take(database).owner for _ in range(9)) == {"ann": 3, "bob": 3, "cat": 3}
    with database.transaction() as session:
        session.execute(update(Unit).where(Unit.owner == "cat", Unit.state == "running").values(state="done"))
    assert [take(database).owner for _ in range(3)] == ["cat"] * 3


@hypothesis_settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    units=st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 1), st.integers(0, 2)), min_size=1, max_size=12),
    finishing=st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_the_order_is_that_of_a_plain_sort(database: Database, units, finishing):
    """The claim against its definition, computed from all rows in plain Python."""
    with database.transaction() as session:
        session.execute(Unit.__table__.delete())
        session.execute(OwnerTurn.__table__.delete())
        for owner, priority, position in units:
            job = _enqueue(session, owner, priority)
            session.execute(update(Unit).where(Unit.job_id == job.id).values(position=position))
    waiting = []
    with database.reading() as session:
        waiting.extend((u.priority, u.owner, u.position, u.id) for u in session.query(Unit).all())
    running: Counter[str] = Counter()
    served: dict[str, int] = {}
    for turn, finished in zip(range(1, len(units) + 1), finishing, strict=False):
        expected = min(waiting, key=lambda u: (-u[0], running[u[1]], served.get(u[1], 0), u[1], u[2], u[3]))
        claimed = take(database)
        assert claimed.unit_id == expected[3]
        waiting.remove(expected)
        served[claimed.owner] = turn
        if finished:
            with database.transaction() as session:
                session.execute(update(Unit).where(Unit.id == claimed.unit_id).values(state="done"))
        else:
            running[claimed.owner] += 1
    assert take(database) is None


def test_many_threads_claim_each_unit_once(database: Database, submit):
    for owner in ("ann", "bob"):
        submit(owner=owner, units=60)

    def work(worker: int) -> list[int]:
        units = []
        current = take(database, worker=f"w{worker}")
        while current is not None:
            units.append(current.unit_id)
            with database.exclusive() as session:
                current = finish_and_claim(session, current, Queue.LIGHT, f"w{worker}")
        return units

    with ThreadPoolExecutor(8) as pool:
        claimed = [unit for units in pool.map(work, range(8)) for unit in units]
    assert sorted(claimed) == sorted(set(claimed))
    assert len(claimed) == 120
    with database.reading() as session:
        assert {job.state for job in session.query(Job)} == {JobState.SUCCEEDED}


_PROCESS = """
import sys
from core.models.jobs import Queue
from core.queue.claim import claim
from tests.tools.claims import finish_and_claim
from core.records.database import Database
database = Database(sys.argv[1])
with database.exclusive() as session:
    current = claim(session, Queue.LIGHT, sys.argv[2])
while current is not None:
    print(current.unit_id)
    with database.exclusive() as session:
        current = finish_and_claim(session, current, Queue.LIGHT, sys.argv[2])
"""


def test_many_processes_claim_each_unit_once(database: Database, database_url: str, submit):
    submit(units=60)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, database_url, f"w{n}"], stdout=subprocess.PIPE, env=os.environ
        )
        for n in range(2)
    ]
    outputs = [process.communicate(timeout=300)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    claimed = [unit for output in outputs for unit in output]
    assert len(claimed) == len(set(claimed)) == 60


def test_cancelling_while_others_claim_neither_blocks_nor_doubles(database: Database, submit):
    jobs = [submit(owner=f"o{n % 3}", units=4).id for n in range(12)]

    def cancel_some(ids: list[int]) -> None:
        for job_id in ids:
            # One that has ended meanwhile cannot be cancelled.
            with contextlib.suppress(ConflictError), database.transaction() as session:
                cancel(session, job_id)

    def work(worker: str) -> None:
        current = take(database, worker=worker)
        while current is not None:
            try:
                with database.exclusive() as session:
                    current = finish_and_claim(session, current, Queue.LIGHT, worker)
            except SupersededError:
                current = take(database, worker=worker)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work, f"w{n}") for n in range(3)] + [pool.submit(cancel_some, jobs[6:])]
        for future in futures:
            future.result(timeout=300)
    with database.reading() as session:
        for job in session.query(Job):
            states = {unit.state for unit in session.query(Unit).where(Unit.job_id == job.id)}
            assert states <= {UnitState.DONE, UnitState.CANCELLED}
            assert job.state is (JobState.CANCELLED if UnitState.CANCELLED in states else JobState.SUCCEEDED)


def test_a_claim_that_waited_for_a_cancel_takes_what_is_left(database: Database, submit):
    """It has chosen the unit, and waits for its job: what it meets then is what counts."""
    submit()
    left = submit()
    with ThreadPoolExecutor(1) as pool, database.transaction() as session:
        cancel(session, left.id - 1)
        claiming = pool.submit(take, database)
        _await_lock(database)
    claimed = claiming.result(60)
    assert (claimed.job_id, claimed.attempt) == (left.id, 1)


def test_from_the_end_of_a_unit_to_the_next_are_few_trips(database: Database, submit):
    submit(units=3)
    current = take(database)
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: said.append(told[2]))
    with database.exclusive() as session:
        assert finish_and_claim(session, current, Queue.LIGHT, "w") is not None
    # The lock (which begins a transaction of SQLite's), the end, and the claim, which SQLite does in two.
    assert len(said) == (4 if database.is_sqlite else 3), said


# Twenty owners; the columns are those of one real unit.
_HUNDRED_THOUSAND = text("""
    INSERT INTO unit (job_id, "index", queue, owner, priority, position, state, payload, attempt, strikes, progressed,
                      worker, beat)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
    SELECT job_id, i, queue, 'o' || (i % 20), priority, position, state, payload, attempt, strikes, progressed,
           worker, beat
    FROM n, unit
""")


def test_a_claim_among_a_hundred_thousand_waiting_units_uses_the_index(database: Database, submit):
    submit(owner="zoe", units=1)
    with database.transaction() as session:
        session.execute(_HUNDRED_THOUSAND)
    take(database)
    owners, moments = [], [time.perf_counter()]
    for _ in range(40):
        owners.append(take(database).owner)
        moments.append(time.perf_counter())
    assert len(set(owners)) == 21
    # Not a benchmark: sorting all rows takes over ten times as long as this. The middle one of 40 was not disturbed.
    assert statistics.median(map(float.__sub__, moments[1:], moments)) < 0.1


def _await_lock(database: Database) -> None:
    """Until somebody waits for a row's lock; SQLite's writers wait for the whole file, and cannot be asked."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    deadline = time.monotonic() + 60
    while not database.is_sqlite:
        with database.reading() as session:
            if session.scalar(waiting):
                return
        assert time.monotonic() < deadline, "nobody waits"


def _enqueue(session, owner: str, priority: int) -> Job:
    return enqueue(
        session,
        kind=JobKind.IMPORT,
        queue=Queue.LIGHT,
        title="x",
        owner=owner,
        payloads=[{}],
        request={},
        priority=priority,
    )
