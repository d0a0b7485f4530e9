"""Rows and files as workers would have made them, on each database, and threads that start at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from core.artifacts import ArtifactStore
from core.records.database import Database
from tests.tools.web_content import WebContent


@pytest.fixture
def content(database: Database, store: ArtifactStore) -> WebContent:
    """Fills the database and the store."""
    return WebContent(database, store)


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Runs functions in threads that start together; what each gave, or the exception that it raised."""

    def run(*functions: Callable[[], Any]) -> list[Any]:
        results: list[Any] = [None] * len(functions)
        barrier = threading.Barrier(len(functions))

        def call(place: int) -> None:
            barrier.wait()
            try:
                results[place] = functions[place]()
            except Exception as error:  # noqa: BLE001  # the test looks at whatever came
                results[place] = error

        threads = [threading.Thread(target=call, args=(place,)) for place in range(len(functions))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive(), "the two wait for each other"
        return results

    return run


@pytest.fixture
def statements(database: Database) -> list[str]:
    """Every statement that the database is asked, as it comes."""
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    return asked
