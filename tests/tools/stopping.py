"""Stopping a process for a while, so that nothing begins or ends in it while a test looks and acts."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from sqlalchemy.engine import make_url

_LOCK_SECONDS = 0.5
_MOST_SECONDS = 60.0


@contextmanager
def stopped(pid: int, database_url: str) -> Iterator[None]:
    """Stop a process with SIGSTOP and let it go on at the end, if it is still there.

    It is not stopped within a transaction that writes: SQLite has one writer, and nobody else could write meanwhile.
    """
    deadline = time.monotonic() + _MOST_SECONDS
    os.kill(pid, signal.SIGSTOP)
    try:
        while not _can_be_written(database_url):
            assert time.monotonic() < deadline, f"the database is locked, whether process {pid} runs or not"
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.01)
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        # A worker that was silent for too long may have been ended and replaced.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _can_be_written(database_url: str) -> bool:
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite":
        return True
    assert url.database
    with closing(sqlite3.connect(url.database, timeout=_LOCK_SECONDS, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True
