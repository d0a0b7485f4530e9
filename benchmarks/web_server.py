"""A real web server over an installation, and requests to it at a fixed rate."""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from benchmarks.installation import Installation, wait_until

_CLIENTS = 16


@dataclass(frozen=True, slots=True)
class WebServer:
    """A running one."""

    host: str
    port: int
    pid: int

    def memory_bytes(self) -> int:
        """Resident memory of the server and its children; what they share is counted once, where the system tells."""
        server = psutil.Process(self.pid)
        total = 0
        for process in [server, *server.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                memory = process.memory_full_info()
                total += getattr(memory, "pss", memory.rss)
        return total

    def get(self, path: str, connection: http.client.HTTPConnection | None = None) -> int:
        """Bytes of a page.

        Raises:
            RuntimeError: its status is not 200.
        """
        used = connection or http.client.HTTPConnection(self.host, self.port, timeout=30)
        used.request("GET", path)
        answer = used.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {body[:300]!r}")
        return len(body)


@contextmanager
def web_server(place: Installation) -> Iterator[WebServer]:
    """The server as the launcher starts it."""
    fields = {f"CADENZA_{name.upper()}": str(value) for name, value in place.settings.model_dump().items()}
    log = place.settings.data_dir / "web.log"
    told = place.settings.run_dir / "address"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "webui.launcher.web"],
            env={**os.environ, **fields, "CADENZA_PORT": "0"},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(told.exists, lambda: process.poll() is None, log)
        address = urlsplit(told.read_text())
        yield WebServer(address.hostname or "", address.port or 0, process.pid)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def latencies(server: WebServer, paths: Sequence[str], rate: float, seconds: float) -> dict[str, list[float]]:
    """Ask for the paths in turns, `rate` times a second, however slow the answers are; seconds of each, by path.

    A request's time begins when it was due, so that a server that lags does not look fast.
    """
    found: dict[str, list[float]] = {path: [] for path in paths}
    local = threading.local()
    began = time.perf_counter() + 0.05

    def ask(number: int) -> None:
        due, path = began + number / rate, paths[number % len(paths)]
        time.sleep(max(0.0, due - time.perf_counter()))
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
        server.get(path, local.connection)
        found[path].append(time.perf_counter() - due)

    with ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(ask, range(int(rate * seconds))))
    return found


def p95(seconds: Sequence[float]) -> float:
    """The value that 95 of 100 do not exceed."""
    return statistics.quantiles(seconds, n=20)[-1]
