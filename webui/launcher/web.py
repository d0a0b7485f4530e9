"""`python -m webui.launcher.web`: the web server, one process with many threads."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import random
import shutil
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from core.errors import CadenzaError
from core.loading import loading
from core.logs import configure_logging
from core.people.accounts import accounts_are_on
from core.records.database import Database
from core.records.revisions import wait_until_current
from core.settings import Settings
from webui.launcher.patient_worker import PatientWorker
from webui.launcher.signs import address_file, wait_until_prepared

# Every open page that listens for changes holds a thread; threads are made only when needed.
_THREADS = 400
_GRACE_SECONDS = 2
_PORT_PATIENCE_SECONDS = 8.0
_OWN_PORTS = range(20_000, 32_000)
# Bytes; a choice of a thousand takes is a long address. gunicorn answers longer ones with 414, and takes no more here.
_LONGEST_REQUEST_LINE = 8190


def serve(settings: Settings) -> None:
    """Serve until a signal says otherwise.

    Raises:
        CadenzaError: the host is not this machine's own and there are no accounts, or the tables are of another
            revision.
    """
    configure_logging(settings, "web")
    _share_metrics(settings)
    # Loaded here, while the launcher prepares the tables, and once for all processes that serve.
    with loading():
        from webui.app import create_app

    wait_until_prepared()
    database = Database(settings.resolved_database_url)
    wait_until_current(database, settings.wait_for_tables_seconds, lambda line: sys.stderr.write(f"{line}\n"))
    database.dispose()
    port = _choose_port(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    # Whoever listens everywhere is reached from this machine by its own name.
    told = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104  # it is compared, not bound
    _Server(lambda: create_app(settings), settings, f"{host}:{port}", f"http://{told}:{port}").run()


class _RootLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Leaves the server's lines to the part's own logging."""

    def setup(self, cfg: Any) -> None:
        """Add no handlers of its own; `configure_logging` has made one for all."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    def __init__(self, make_app: Callable[[], Any], settings: Settings, bind: str, address: str) -> None:
        self._make_app = make_app
        self._settings = settings
        self._bind = bind
        self._address = address
        super().__init__()

    def load_config(self) -> None:
        PatientWorker.head_seconds = self._settings.slow_request_seconds
        options: dict[str, Any] = {
            "bind": self._bind,
            "workers": self._settings.web_processes,
            "logger_class": _RootLogger,
            "worker_class": PatientWorker,
            "threads": _THREADS,
            "worker_connections": 4 * _THREADS,
            "keepalive": 30,
            "limit_request_line": _LONGEST_REQUEST_LINE,
            "timeout": 60,
            "graceful_timeout": _GRACE_SECONDS,
            "loglevel": self._settings.log_level.lower(),
            "control_socket_disable": True,
            "post_worker_init": self._tell_address,
            "child_exit": _forget_process,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._make_app()

    def _tell_address(self, _worker: object) -> None:
        # Told by the process that answers, once it has loaded: whoever reads it gets a page at once.
        path = address_file(self._settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}.part")  # several processes may tell it at once
        aside.write_text(self._address)
        aside.replace(path)


def _share_metrics(settings: Settings) -> None:
    """Name the folder in which the web processes count together, empty at first; before their library is imported."""
    folder = settings.run_dir / f"metrics-{os.getpid()}"
    for old in settings.run_dir.glob("metrics-*"):
        if not Path(f"/proc/{old.name.partition('-')[2]}").exists():
            shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _forget_process(_server: object, worker: Any) -> None:
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # theirs


def _choose_port(settings: Settings) -> int:
    """The port of the last time, else the wanted one, else any free one."""
    _check_host(settings)
    wanted = settings.port
    with contextlib.suppress(OSError, ValueError):
        before = urlsplit(address_file(settings).read_text().strip()).port or 0
        # One that was free to choose stays where the open pages look for it; a fixed one may have been changed since.
        wanted = wanted or before
    # A server that was just killed may hold the port for a moment.
    deadline = time.monotonic() + (_PORT_PATIENCE_SECONDS if address_file(settings).exists() else 0)
    while wanted:
        if _is_free(settings.host, wanted):
            return wanted
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return _any_free_port(settings.host)


def _any_free_port(host: str) -> int:
    # Not one of those that systems give to outgoing connections (from 32768 on Linux, from 49152 elsewhere): such a
    # connection could take it while a killed server is on its way back, even one that looks for that very server.
    for port in random.sample(_OWN_PORTS, 100):
        if _is_free(host, port):
            return port
    with _socket_of(host) as free:
        free.bind((host, 0))
        chosen: int = free.getsockname()[1]
        return chosen


def _is_free(host: str, port: int) -> bool:
    with _socket_of(host) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _socket_of(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def _check_host(settings: Settings) -> None:
    """Without accounts whoever reaches the server may do everything, so only this machine may reach it.

    Raises:
        CadenzaError: the host is another, and nobody has to sign in.
    """
    try:
        is_loopback = settings.host == "localhost" or ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        is_loopback = False
    if is_loopback:
        return
    database = Database(settings.resolved_database_url)
    try:
        with database.reading() as session:
            accounts_on = accounts_are_on(session)
    finally:
        database.dispose()
    if not accounts_on:
        raise CadenzaError(
            f"CADENZA_HOST is {settings.host!r}, but there are no accounts, so the server listens on this machine "
            "alone: use 127.0.0.1, ::1 or localhost, or add the first administrator with "
            "'cadenza people add NAME --role administrator'."
        )


def main() -> int:
    """Serve the installation of the environment; the exit status."""
    try:
        serve(Settings())
    except CadenzaError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
