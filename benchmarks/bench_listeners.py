"""What 300 open pages cost: other requests' times without and with them, and the web process's memory."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import stages
from benchmarks.harness import Options, Row, run_program, say
from benchmarks.installation import Installation, installation
from benchmarks.web_server import WebServer, latencies, p95, web_server
from core.changes import ChangeFeed

_LISTENERS = 300
_CHANGES_PER_SECOND = 5.0
_PATHS = ["/", "/jobs", "/generations"]
_RATE, _SECONDS = 30.0, 8.0
_GOAL_TIMES = 2.0
_GOAL_BYTES = 300 * 2**20


def main() -> None:
    """Run it."""
    run_program(measure, repeats=2)


def measure(options: Options) -> list[Row]:
    """The times without and with listeners in turns; changes are announced in both."""
    alone: list[float] = []
    beside: list[float] = []
    memory = heard = 0
    with installation(broker=True) as place, web_server(place) as server, _changes(place):
        latencies(server, _PATHS, _RATE, 2.0)
        for _ in range(options.repeats):
            alone += _times(server)
            with _listeners(server) as told:
                beside += _times(server)
                memory, heard = max(memory, server.memory_bytes()), heard + told[0]
            say(f"p95 {p95(alone) * 1000:.1f} ms alone, {p95(beside) * 1000:.1f} ms beside {_LISTENERS} listeners")
    assert heard >= _LISTENERS, "the listeners heard nothing"
    times = p95(beside) / p95(alone)
    return [
        Row(
            stages.LISTENERS, "ms", p95(beside) * 1000, "without them", p95(alone) * 1000, lower_is_better=True,
            goal=f"p95 at most {_GOAL_TIMES:.0f} ×", met=times <= _GOAL_TIMES,
            notes=[
                f"p95 of {len(beside)} requests on each side, {_RATE:.0f} a second",
                f"{_CHANGES_PER_SECOND:.0f} changes a second reach every listener, {heard:,} pieces heard",
            ],
        ),
        Row(
            stages.LISTENERS_MEMORY, "MB", memory / 2**20, lower_is_better=True,
            goal=f"≤ {_GOAL_BYTES // 2**20} MB", met=memory <= _GOAL_BYTES,
            notes=["proportional share of resident memory, server and its child together"],
        ),
    ]  # fmt: skip


def _times(server: WebServer) -> list[float]:
    return [second for seconds in latencies(server, _PATHS, _RATE, _SECONDS).values() for second in seconds]


@contextmanager
def _changes(place: Installation) -> Iterator[None]:
    """Announces changes at a steady rate, as running jobs do."""
    ended = threading.Event()
    feed = ChangeFeed.of(place.settings)

    def announce() -> None:
        number = 0
        while not ended.wait(1 / _CHANGES_PER_SECOND):
            number += 1
            feed.publish([f"job:{number}", "jobs"])

    thread = threading.Thread(target=announce)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _listeners(server: WebServer) -> Iterator[list[int]]:
    """Open pages that listen; the list's only number grows with what they hear."""
    told, ended = [0], threading.Event()
    selector = selectors.DefaultSelector()
    sockets = []
    for _ in range(_LISTENERS):
        opened = socket.create_connection((server.host, server.port))
        opened.sendall(f"GET /live HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n\r\n".encode())
        selector.register(opened, selectors.EVENT_READ)
        sockets.append(opened)

    def hear() -> None:
        while not ended.is_set():
            for key, _ in selector.select(0.2):
                told[0] += bool(key.fileobj.recv(65536))  # type: ignore[union-attr]  # only sockets are registered

    thread = threading.Thread(target=hear)
    thread.start()
    deadline = time.monotonic() + 30
    while told[0] < _LISTENERS and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        yield told
    finally:
        ended.set()
        thread.join()
        for opened in sockets:
            opened.close()
        selector.close()


if __name__ == "__main__":
    main()
