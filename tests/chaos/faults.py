"""What is done to the system: kills at random moments, and now and then a full disk, a frozen worker, a bad network."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import psutil
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from core.models.workers import Worker, WorkerState
from tests.chaos.place import Place
from tests.chaos.servers import pick

# How often each part is killed, relative to the others. A worker that must load TensorFlow again is spared a little.
KILLS = {
    "web server": 18,
    "maintenance": 16,
    "valkey": 18,
    "postgres": 14,
    "light worker's child": 12,
    "light worker's parent": 8,
    "generation worker's child": 5,
    "generation worker's parent": 2,
    "training worker's child": 2,
    "training worker's parent": 1,
}
OTHERS = {"frozen worker": 4, "full disk": 2, "slow network": 2, "deaf network": 1, "dropped connections": 4}
_DISK_SECONDS = 6.0
_NETWORK_SECONDS = 6.0
_STARTING = 0.2
_SETTLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something to do, so many seconds after the beginning."""

    at_seconds: float
    kind: str
    choice: float


def schedule(seed: int, seconds: float, kills: int, without: set[str]) -> list[Event]:
    """The same seed gives the same events: `kills` kills, and one other fault for every eight of them."""
    generator = random.Random(seed)
    events: list[Event] = []
    for weights, count in ((KILLS, kills), (OTHERS, max(kills // 8, 3))):
        kinds = {kind: weight for kind, weight in weights.items() if kind not in without}
        chosen = generator.choices(list(kinds), list(kinds.values()), k=count)
        events += [Event(generator.uniform(0, seconds), kind, generator.random()) for kind in chosen]
    return sorted(events, key=lambda event: event.at_seconds)


class Faults:
    """Does what the schedule says to one system, and counts what was really done."""

    def __init__(self, place: Place) -> None:
        system, servers, networks, disk = place.system, place.servers, place.networks, place.disk
        self.done: Counter[str] = Counter()
        self._killed: dict[str, float] = {}
        self._database = place.database
        self._system = system
        self._servers = {server.name: server for server in servers}
        self._networks = networks
        self._disk = disk
        self._frozen_seconds = system.settings.lost_after_seconds + 4
        self._running: list[threading.Thread] = []
        self._chosen: list[int] = []

    def do(self, event: Event) -> bool:
        """Do one thing; whether there was something to do it to."""
        generator = random.Random(event.choice)
        lasting: dict[str, Callable[[], None]] = {
            "frozen worker": self._freeze,
            "full disk": self._fill_disk,
            "slow network": lambda: self._trouble(generator, "delay 0.15"),
            "deaf network": lambda: self._trouble(generator, "hang"),
            "dropped connections": lambda: generator.choice(self._networks).order("drop"),
        }
        if event.kind in lasting:
            # One at a time of the lasting kinds; kills go on meanwhile.
            if any(thread.is_alive() for thread in self._running):
                return False
            if event.kind == "frozen worker" and not self._workers_children(generator):
                return False
            self._running = [threading.Thread(target=lasting[event.kind], daemon=True)]
            self._running[0].start()
            self.done[event.kind] += 1
            return True
        return self._kill(event.kind, generator)

    def calm(self) -> None:
        """Wait until nothing is frozen, full or slow any more."""
        for thread in self._running:
            thread.join()
        for network in self._networks:
            network.order("calm")
        self._disk.free()

    def _kill(self, kind: str, generator: random.Random) -> bool:
        # Most often a part has come back before it is killed again, or it would do no work at all on a slow machine;
        # some kills hit one that is starting.
        if generator.random() > _STARTING and not self._is_back(kind):
            return False
        pid = self._victim(kind, generator)
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.done[kind] += 1
        self._killed[kind.partition("'")[0]] = time.monotonic()
        return True

    def _is_back(self, kind: str) -> bool:
        """Whether a part works again since it was killed the last time."""
        since = time.monotonic() - self._killed.get(kind.partition("'")[0], -1e9)
        if kind == "web server":
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(f"{self._system.address}/healthz", timeout=1, trust_env=False).is_success
            return False
        if "worker" in kind:
            return since > _SETTLE_SECONDS and self._has_loaded(kind.partition(" ")[0])
        return since > _SETTLE_SECONDS

    def _has_loaded(self, queue: str) -> bool:
        states = (WorkerState.READY, WorkerState.BUSY)
        try:
            with self._database.reading() as session:
                workers = session.scalars(select(Worker).where(Worker.state.in_(states))).all()
        except DBAPIError:
            return False
        return any(queue in worker.queues for worker in workers)

    def _victim(self, kind: str, generator: random.Random) -> int | None:
        if kind in self._servers:
            return pick(generator, self._servers[kind].victims())
        part = {
            "web server": "web",
            "maintenance": "maintenance",
            "light worker's child": "worker-light",
            "light worker's parent": "worker-light",
            "training worker's child": "worker-training",
            "training worker's parent": "worker-training",
        }.get(kind) or generator.choice(["worker-generation", "worker-generation-2"])
        status = self._system.status().get(part)
        if status is None or not status.pid:
            return None
        children = children_of(status.pid)
        if kind.endswith("child"):
            return children[0] if children else None
        if kind == "web server":
            return pick(generator, [status.pid, *children])
        return status.pid

    def _workers_children(self, generator: random.Random) -> list[int]:
        parts = ["worker-generation", "worker-generation-2", "worker-training", "worker-light"]
        status = self._system.status().get(generator.choices(parts, [4, 4, 2, 1])[0])
        self._chosen = children_of(status.pid) if status is not None and status.pid else []
        return self._chosen

    def _freeze(self) -> None:
        pids = self._chosen
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        time.sleep(self._frozen_seconds)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _fill_disk(self) -> None:
        self._disk.fill()
        time.sleep(_DISK_SECONDS)
        self._disk.free()

    def _trouble(self, generator: random.Random, order: str) -> None:
        network = generator.choice(self._networks)
        network.order(order)
        time.sleep(_NETWORK_SECONDS)
        network.order("calm")


def children_of(pid: int) -> list[int]:
    """The processes that do the work of a parent: a worker's child, a web server's worker."""
    with contextlib.suppress(psutil.Error):
        return [
            child.pid
            for child in psutil.Process(pid).children()
            if "_tracker import" not in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE
        ]
    return []
