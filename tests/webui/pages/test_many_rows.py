"""Pages over long tables: every query finds its rows by an index, and their number does not grow with the rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert
from sqlalchemy.orm import Session

from benchmarks.many_rows import fill
from core.models.base import utc_now
from core.models.jobs import Job, JobKind, JobState, Queue
from core.records.database import Database

_PAGES = [
    "/",
    "/jobs",
    "/jobs?page=3",
    "/jobs?state=failed",
    "/jobs?state=active",
    "/jobs?kind=generation",
    "/jobs/1",
    "/queue",
    "/workers",
    "/limits",
    "/generations",
    "/generations/1",
    "/generations/1?sort=polyphony&order=desc&page=100",
    "/generations/1?show=sound",
    "/generations/1?show=starred",
    "/generations/1?show=copies",
    "/takes/1",
]
_LONG_TABLES = "job|unit|generation|take|job_log|piece|training_point"


@pytest.fixture
def filled(database: Database) -> Database:
    fill(database, jobs=400, generations=3)
    return database


@contextmanager
def statements_of(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """What is asked of the database meanwhile: statements with their parameters."""
    asked: list[tuple[str, Any]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def full_scans(database: Database, statement: str, parameters: Any) -> list[str]:
    """Steps of SQLite's plan that look at whole tables, or sort them."""
    with database.engine.connect() as connection:
        steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    # The newest rows by their number need no index: the table itself has that order, and the limit ends the walk.
    newest = re.search(r"ORDER BY \w+\.id( DESC)?\s+LIMIT", statement) and " WHERE " not in statement
    # Open jobs come by their index and are sorted: they are few, and two states make no one order.
    few = "job.state IN" in statement
    return [
        f"{step} (of {'; '.join(steps)})"
        for step in steps
        if (re.fullmatch(rf"SCAN ({_LONG_TABLES})( AS \w+)?", step) and not newest)
        or ("TEMP B-TREE FOR ORDER BY" in step and not few)
    ]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_query_of_a_page_uses_an_index(filled: Database, app, client):
    used: Database = app.extensions["cadenza"].database
    found = []
    for path in _PAGES:
        with statements_of(used) as asked:
            assert client.get(path).status_code == 200, path
        selects = [
            (statement, parameters) for statement, parameters in asked if statement.lstrip().startswith("SELECT")
        ]
        assert selects
        found += [
            f"{path}: {step} for {statement} {parameters}"
            for statement, parameters in selects
            for step in full_scans(used, statement, parameters)
        ]
    assert found == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_number_of_queries_does_not_grow(filled: Database, app, client):
    used: Database = app.extensions["cadenza"].database

    def counts() -> dict[str, int]:
        found: dict[str, int] = {}
        # Whether there are accounts is looked up again now and then, with whichever page comes: the fewest are its own.
        for path in _PAGES * 2:
            with statements_of(used) as asked:
                client.get(path)
            found[path] = min(len(asked), found.get(path, len(asked)))
        # It asks three more for each queue in which anything waits, however much that is.
        return {**found, "/queue": max(found["/queue"], 25)}

    before = counts()
    with filled.transaction() as session:
        add_jobs(session, 1000)
    assert counts() == before
    assert max(before.values()) <= 25


def add_jobs(session: Session, count: int) -> None:
    row = {"kind": JobKind.IMPORT, "queue": Queue.LIGHT, "title": "x", "owner": "local", "request": {}}
    states = [JobState.RUNNING, JobState.QUEUED, JobState.FAILED, JobState.SUCCEEDED]
    session.execute(
        insert(Job), [{**row, "state": states[number % 4], "created_at": utc_now()} for number in range(count)]
    )
