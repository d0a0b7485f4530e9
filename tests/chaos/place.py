"""A whole system to be hurt: web server, four workers, maintenance, Valkey, a database, a disk that can be full."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from core.artifacts import ArtifactStore
from core.records.database import Database
from core.settings import Settings
from tests.chaos.servers import KeptServer, Network, SmallDisk, start_postgres, start_valkey
from webui.launcher.system import System, sole_system

# On a busy machine TensorFlow takes its time.
_READY_SECONDS = 900.0
_SERVER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """A running system and all that it stands on. `database` goes around every bad network."""

    system: System
    database: Database
    store: ArtifactStore
    servers: list[KeptServer]
    networks: list[Network]
    disk: SmallDisk

    def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Wait until every part is up.

        Raises:
            TimeoutError: a part is not.
        """
        deadline = time.monotonic() + seconds
        while missing := _quietly(lambda: self.system.missing(self.database), ["the database"]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ready after {seconds:g} s: {missing}")
            time.sleep(0.2)


@contextmanager
def whole_place(kind: str, resume_point_seconds: float) -> Iterator[Place]:
    """A system on "sqlite" or "postgresql", up and loaded; all of it is gone at the end."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="cadenza-chaos-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        disk = SmallDisk(folder / "disk")
        stack.callback(disk.remove)
        valkey, socket = start_valkey(disk.folder / "valkey")
        stack.callback(valkey.stop)
        servers, networks = [valkey], [_network(stack, socket)]
        database_url = direct_url = ""
        if kind == "postgresql":
            postgres, socket = start_postgres(folder)
            stack.callback(postgres.stop)
            servers.append(postgres)
            networks.append(_network(stack, socket))
            user = "postgresql+psycopg://postgres@"
            database_url = f"{user}127.0.0.1:{networks[-1].port}/postgres?connect_timeout=5"
            direct_url = f"{user}/postgres?host={socket.parent}"
        for name in [name for name in os.environ if name.startswith("CADENZA_")]:
            del os.environ[name]
        settings = Settings(
            data_dir=disk.folder / "data",
            database_url=database_url,
            broker_url=f"redis://127.0.0.1:{networks[0].port}/0",
            port=0,
            beat_seconds=0.5,
            lost_after_seconds=8.0,
            resume_point_seconds=resume_point_seconds,
            # A unit that several kills in a row hit before its first take is no poison.
            attempts_limit=12,
            _env_file=None,
        )
        database = Database(direct_url or settings.resolved_database_url)
        stack.callback(database.dispose)
        settings.data_dir.mkdir(parents=True)
        _await(database)
        system = stack.enter_context(sole_system(settings))
        _add_second_generation_worker(system)
        system.start()
        place = Place(system, database, ArtifactStore.of(settings), servers, networks, disk)
        place.wait_ready()
        yield place


def _add_second_generation_worker(system: System) -> None:
    first = next(part for part in system.parts if part.name == "worker-generation")
    command = [*first.command[:-1], "generation-2"]
    assert first.command[-2:] == ["--name", "generation"]
    system.parts.append(replace(first, name="worker-generation-2", command=command, worker="generation-2"))


def _network(stack: ExitStack, socket: Path) -> Network:
    network = Network(socket)
    stack.callback(network.stop)
    return network


def _await(database: Database) -> None:
    deadline = time.monotonic() + _SERVER_SECONDS
    while True:
        try:
            with database.engine.connect():
                return
        except DBAPIError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _quietly(look: Callable[[], list[str]], otherwise: list[str]) -> list[str]:
    try:
        return look()
    except DBAPIError:
        return otherwise


def run_name() -> str:
    """A name for the files of one run."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
