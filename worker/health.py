"""`python -m worker.health`: whether the workers of this host beat, for whoever restarts containers.

It looks at the database twice, and compares the counters that it saw: no clock of another host is asked.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from core.models.workers import Worker, WorkerState
from core.records.database import Database
from core.settings import Settings

_POLL_SECONDS = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Look; 0 when every worker of this host beats, 1 when one is silent or cannot serve, or none is there."""
    parser = argparse.ArgumentParser(description="Whether the workers of this host beat.")
    parser.add_argument("--reach", action="store_true", help="only whether the database answers")
    options = parser.parse_args(arguments)
    settings = Settings()
    database = Database(settings.resolved_database_url)
    try:
        seen = _beats(database)
        if options.reach:
            return 0
        if problems := _problems(database):
            sys.stderr.write("".join(f"{name}: {problem}\n" for name, problem in problems.items()))
            return 1
        silent = set(seen)
        deadline = time.monotonic() + settings.lost_after_seconds
        while silent and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            now = _beats(database)
            silent = {name for name in silent if now.get(name) == seen[name]}
    except SQLAlchemyError as error:
        # Restarting a worker would bring no database back, and lose what it runs.
        sys.stderr.write(f"the database does not answer: {getattr(error, 'orig', error)}\n")
        return 1 if options.reach else 0
    finally:
        database.dispose()
    if silent or not seen:
        sys.stderr.write(f"silent: {', '.join(sorted(silent))}\n" if silent else "no worker of this host is there\n")
        return 1
    return 0


def _problems(database: Database) -> dict[str, str]:
    with database.reading() as session:
        rows = session.execute(
            select(Worker.name, Worker.problem).where(
                Worker.host == socket.gethostname(), Worker.state == WorkerState.STARTING, Worker.problem != ""
            )
        )
        return {row.name: row.problem for row in rows}


def _beats(database: Database) -> dict[str, int]:
    with database.reading() as session:
        rows = session.execute(
            select(Worker.name, Worker.beat).where(
                Worker.host == socket.gethostname(), Worker.state != WorkerState.GONE
            )
        )
        return {row.name: row.beat for row in rows}


if __name__ == "__main__":
    sys.exit(main())
