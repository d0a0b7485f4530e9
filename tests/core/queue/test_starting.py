"""A start of the whole system is told from a start of one part, whoever starts them, and by no host's clock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import update

from core.models.jobs import Queue
from core.models.operations import SystemBeat
from core.queue import starting
from core.queue.queues import choose_start, queue_controls, resume_queues
from core.queue.starting import AWAY_SECONDS, beat, begin
from core.records.database import Database


@pytest.fixture
def chosen(database: Database) -> Database:
    """An installation whose trainings come up paused."""
    with database.transaction() as session:
        choose_start(session, [Queue.TRAINING], "ada", paused=True)
    return database


def let_pass(database: Database, seconds: float) -> None:
    with database.transaction() as session:
        row = session.query(SystemBeat).one()
        session.execute(update(SystemBeat).values(seen_at=row.seen_at - timedelta(seconds=seconds)))


def paused(database: Database) -> list[Queue]:
    with database.reading() as session:
        return [queue for queue, row in queue_controls(session).items() if row.paused]


def test_the_first_part_pauses_what_shall_come_up_paused_and_later_ones_nothing(chosen: Database) -> None:
    assert begin(chosen) == [Queue.TRAINING]
    assert paused(chosen) == [Queue.TRAINING]
    with chosen.transaction() as session:
        resume_queues(session, [Queue.TRAINING], "ada")
    assert begin(chosen) == [], "a worker that comes later"
    assert paused(chosen) == []


def test_the_system_has_run_while_there_were_signs_of_it(chosen: Database) -> None:
    begin(chosen)
    for _ in range(3):
        let_pass(chosen, AWAY_SECONDS - 1)
        with chosen.transaction() as session:
            beat(session)
    with chosen.transaction() as session:
        resume_queues(session, [Queue.TRAINING], "ada")
    assert begin(chosen) == []
    let_pass(chosen, AWAY_SECONDS + 1)
    assert begin(chosen) == [Queue.TRAINING]
    assert paused(chosen) == [Queue.TRAINING]


def test_nothing_comes_up_paused_where_nobody_chose_it(database: Database) -> None:
    assert begin(database) == []
    assert paused(database) == []


def test_of_many_parts_that_start_at_once_one_is_the_first(chosen: Database) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: begin(chosen), range(6)))
    assert sorted(map(len, found)) == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_clock_of_a_host_does_not_count(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """All parts ask PostgreSQL's clock; SQLite is used on one machine, which has one."""
    with database.transaction() as session:
        choose_start(session, [Queue.TRAINING], "ada", paused=True)
    begin(database)
    real = starting.utc_now
    monkeypatch.setattr(starting, "utc_now", lambda: real() + timedelta(hours=1))
    assert begin(database) == []
