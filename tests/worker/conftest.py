"""Real worker processes, and a short way to give them work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.models.jobs import Job, JobKind, Queue
from core.queue.enqueue import enqueue
from core.records.database import Database
from core.settings import Settings
from worker.tickets import Tickets

_HARNESS = Path(__file__).parent / "harness" / "run_worker.py"


@pytest.fixture
def quick(settings: Settings, database_url: str, valkey_url: str) -> Settings:
    """Settings under which silence is noticed soon, over a real database and a real Valkey."""
    return settings.model_copy(
        update={
            "database_url": database_url,
            "broker_url": valkey_url,
            "beat_seconds": 0.3,
            "lost_after_seconds": 4.0,
            "cancel_grace_seconds": 1.5,
        }
    )


@pytest.fixture
def environment(quick: Settings) -> dict[str, str]:
    """The environment of parts of this installation."""
    fields = {f"CADENZA_{name.upper()}": str(value) for name, value in quick.model_dump().items()}
    return {**os.environ, **fields}


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts parts of the installation: `start("worker", "w1")` or `start("maintenance")`."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(what: str, name: str = "") -> subprocess.Popen[bytes]:
        commands = {
            "worker": [str(_HARNESS), "--queue", "light", "--name", name],
            "workers": [str(_HARNESS), "--queue", "light", "--name", name, "--gpus", "0,5"],
            "together": [str(_HARNESS), "--queue", "training", "--name", name, "--gpus", "0,5", "--together"],
            "maintenance": ["-m", "worker.maintenance"],
        }
        with (tmp_path / f"{what}-{name}-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *commands[what]], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
    for log in sorted(tmp_path.glob("*.log")):
        sys.stdout.write(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}\n")


@pytest.fixture
def submit(database: Database, quick: Settings, tmp_path: Path) -> Callable[..., Job]:
    """Queues a light job that does what is said, and sends a ticket as the web process does."""
    tickets = Tickets(quick)
    ledger, started, go = (str(tmp_path / name) for name in ("ledger", "started", "go"))

    def put(do: str = "nothing", units: int = 1, ticket: bool = True) -> Job:
        payload = {"do": do, "ledger": ledger, "started": started, "go": go}
        with database.transaction() as session:
            job = enqueue(
                session,
                kind=JobKind.IMPORT,
                queue=Queue.LIGHT,
                title=do,
                owner="ann",
                payloads=[payload] * units,
                request={},
            )
        if ticket:
            tickets.send(Queue.LIGHT, 1, job.id)
        return job

    return put


@pytest.fixture
def lines(tmp_path: Path) -> Callable[[str], list[tuple[int, int, int]]]:
    """The lines of the "ledger" (complete runs) or of "started": unit, attempt, process."""

    def read(name: str) -> list[tuple[int, int, int]]:
        path = tmp_path / name
        text = path.read_text() if path.exists() else ""
        return [(int(unit), int(attempt), int(pid)) for unit, attempt, pid in map(str.split, text.splitlines())]

    return read


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for a condition; fails only after what the slowest machine needs."""

    def wait(condition: Callable[[], object], seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"this did not come about within {seconds} s: {condition.__name__}")
            time.sleep(0.05)

    return wait


@pytest.fixture
def job_of(database: Database) -> Callable[[Job], Job]:
    """The job as it is now."""

    def read(job: Job) -> Job:
        with database.reading() as session:
            found = session.get(Job, job.id)
            assert found is not None
            return found

    return read
