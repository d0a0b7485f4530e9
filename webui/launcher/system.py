"""A whole system as one object: start it, wait until it is ready, look at its parts, stop it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from core.errors import CadenzaError
from core.processes import end_lock_holders, lock_holder, take_lock
from core.settings import Settings
from webui.launcher.looking import PartStatus, answers, part_statuses
from webui.launcher.parts import Part, parts_of, supervisor_config
from webui.launcher.signs import address_file, prepared_file

if TYPE_CHECKING:
    from core.records.database import Database

Tell = Callable[[str], object]
_STOP_SECONDS = 9.5
_POLL_SECONDS = 0.1
# What supervisor says before it has a log, such as why it cannot start.
_COMPLAINTS = "supervisor-start.log"


class System:
    """The parts of one installation on this machine. Made by `sole_system` and `running_system`."""

    def __init__(
        self, settings: Settings, parts: list[Part], tell: Tell = lambda _: None, *, paused: bool = False
    ) -> None:
        self.settings = settings
        self.parts = parts
        self._tell = tell
        self._paused = paused
        self._prepared = False
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._began: datetime = datetime.now(UTC)

    @property
    def address(self) -> str:
        """The web server's address, such as "http://127.0.0.1:8420"; empty until it listens."""
        with contextlib.suppress(OSError):
            return address_file(self.settings).read_text().strip()
        return ""

    def start(self) -> None:
        """Start the supervisor, which starts the parts; what an earlier system left behind is ended first.

        The parts load while the tables are prepared here, and use them only after that.

        Raises:
            CadenzaError: the database is of a version that is not known.
        """
        self._start_supervisor()
        if not self._prepared:
            # Loading what follows takes as long as loading the web server, so that this may begin before.
            from webui.launcher.preparing import prepare

            prepare(self.settings, self._tell, paused=self._paused)
            self._prepared = True
            prepared_file(self.settings.run_dir).touch()

    def _start_supervisor(self) -> None:
        run_dir = self.settings.run_dir
        end_lock_holders(run_dir / "parts", _STOP_SECONDS)
        if not self._prepared:
            prepared_file(run_dir).unlink(missing_ok=True)
        _write(run_dir / "parts.json", json.dumps({part.name: part.command for part in self.parts}))
        _write(run_dir / "supervisor.conf", supervisor_config(self.parts))
        self._began = datetime.now(UTC)
        complaints = os.open(self.settings.log_dir / _COMPLAINTS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        # A session of its own: Ctrl-C in the terminal reaches the launcher alone, which ends the rest in order.
        self._supervisor = subprocess.Popen(
            [sys.executable, "-m", "webui.launcher.supervise", str(run_dir / "supervisor.conf")],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=complaints,
            stderr=complaints,
            start_new_session=True,
        )
        os.close(complaints)

    def is_supervised(self) -> bool:
        """Whether the supervisor runs; without it the parts end."""
        return self._supervisor is not None and self._supervisor.poll() is None

    def status(self) -> dict[str, PartStatus]:
        """How each part stands; empty while the supervisor starts."""
        return part_statuses(_supervisor_socket(self.settings))

    def missing(self, database: Database) -> list[str]:
        """Names of the parts that are not ready: a web server answers, a worker has loaded, others run."""
        from sqlalchemy import select

        from core.models.workers import Worker, WorkerState

        status = self.status()
        with database.reading() as session:
            loaded = set(
                session.scalars(
                    select(Worker.name).where(
                        Worker.state.in_((WorkerState.READY, WorkerState.BUSY)), Worker.started_at >= self._began
                    )
                )
            )
        return [part.name for part in self.parts if not self._is_ready(part, status, loaded)]

    def stop(self) -> None:
        """End all parts, the broker last; nothing is left when this returns."""
        if self._supervisor is not None and self._supervisor.poll() is None:
            self._supervisor.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._supervisor.wait(_STOP_SECONDS)
        end_lock_holders(self.settings.run_dir / "parts", 0)
        if self._supervisor is not None:
            self._supervisor.wait()
        for sign in (address_file(self.settings), prepared_file(self.settings.run_dir)):
            sign.unlink(missing_ok=True)

    def _is_ready(self, part: Part, status: dict[str, PartStatus], loaded: set[str]) -> bool:
        if part.name not in status or status[part.name].state != "RUNNING":
            return False
        if part.name == "web":
            return answers(self.address)
        return not part.worker or part.worker in loaded

    def _environment(self) -> dict[str, str]:
        fields = {f"CADENZA_{name.upper()}": _plain(value) for name, value in self.settings.model_dump().items()}
        return {
            **os.environ,
            **fields,
            "CADENZA_DATA_DIR": str(self.settings.data_dir.absolute()),
            "CADENZA_LAUNCHER_BEGAN": str(time.time()),
            "CADENZA_LAUNCHER_RUN": str(self.settings.run_dir),
            "CADENZA_LAUNCHER_FOLDER": str(Path.cwd()),
            "CADENZA_LAUNCHER_SOCKET": str(_supervisor_socket(self.settings)),
            "CADENZA_LAUNCHER_PYTHON": sys.executable,
            "PYTHONUNBUFFERED": "1",
        }


@contextmanager
def sole_system(settings: Settings, tell: Tell = lambda _: None, *, paused: bool = False) -> Iterator[System]:
    """A system that only this process may start; stopped at the end.

    Its first start upgrades tables of an older revision, after a copy of their rows, and pauses queues where that was
    chosen (with `paused` all of them); `tell` is called with a line about each.

    Raises:
        CadenzaError: another system runs on the same data.
    """
    _make_folders(settings)
    lock = settings.run_dir / "up.lock"
    held = take_lock(lock)
    system = System(settings, parts_of(settings), tell, paused=paused)
    if held is None:
        where = system.address or "an address that it has not told yet"
        raise CadenzaError(
            f"Cadenza already runs on the data in {settings.data_dir} (process {lock_holder(lock)}, {where}). "
            "Stop it first, or set CADENZA_DATA_DIR to another folder."
        )
    try:
        yield system
    finally:
        system.stop()
        os.close(held)


@contextmanager
def running_system(settings: Settings, ready_seconds: float = 180.0) -> Iterator[System]:
    """A system that is up: the web server answers and all workers have loaded. Stopped, without orphans, at the end.

    Raises:
        CadenzaError: another system runs on the same data, or a part did not get ready in time; the message tells the
            end of its log.
    """
    from core.records.database import Database

    with sole_system(settings) as system:
        system.start()
        database = Database(settings.resolved_database_url)
        try:
            deadline = time.monotonic() + ready_seconds
            while missing := system.missing(database):
                if not system.is_supervised():
                    raise CadenzaError(_complaint(settings, "The supervisor of the parts ended.", []))
                if time.monotonic() > deadline:
                    told = f"These parts were not ready after {ready_seconds:.0f} s: {', '.join(missing)}."
                    raise CadenzaError(_complaint(settings, told, missing))
                time.sleep(_POLL_SECONDS)
        finally:
            database.dispose()
        yield system


def _complaint(settings: Settings, sentence: str, parts: list[str]) -> str:
    """The sentence, and the end of the logs of the parts that it is about."""
    told = [sentence]
    for log in [settings.log_dir / _COMPLAINTS, *(settings.log_dir / f"{name}.log" for name in parts)]:
        with contextlib.suppress(OSError):
            lines = log.read_text(errors="replace").splitlines()[-8:]
            if lines:
                told.append("\n".join([f"The end of {log}:", *lines]))
    return "\n".join(told)


def _supervisor_socket(settings: Settings) -> Path:
    # supervisor appends its process number for a moment, so the name is short.
    return settings.valkey_socket.parent / "sv.sock"


def _make_folders(settings: Settings) -> None:
    for folder in (settings.run_dir, settings.log_dir, settings.data_dir / "valkey", settings.valkey_socket.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    sockets = settings.valkey_socket.parent
    if sockets.stat().st_uid != os.getuid():
        raise CadenzaError(
            f"The folder {sockets} belongs to somebody else; remove it or set a shorter CADENZA_DATA_DIR."
        )
    sockets.chmod(0o700)


def _plain(value: object) -> str:
    """A setting as an environment variable has it; a secret writes itself out as stars otherwise."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _write(path: Path, content: str) -> None:
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(content)
    aside.replace(path)
