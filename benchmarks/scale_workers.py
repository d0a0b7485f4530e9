"""Some of the simulated workers of `benchmarks.scale`: threads that claim and close units which do nothing.

    python -m benchmarks.scale_workers URL FIRST COUNT SECONDS [beat]

Everything that a worker does to the database for a unit happens as in `worker.runner`: the end of one unit, the claim
of the next, and the worker's own row are one transaction. With `beat` they beat for one unit each instead. Prints a
JSON object: how many, and each one's seconds.
"""

from __future__ import annotations

import json
import sys
import threading
import time

from sqlalchemy.exc import DBAPIError

from core.models.jobs import Queue
from core.models.workers import WorkerState
from core.queue import lifecycle
from core.queue.claim import Claim, claim, settle_after_claim
from core.records.database import Database
from worker.presence import Presence


class Worker(threading.Thread):
    """One simulated worker."""

    def __init__(self, number: int, database: Database, start: threading.Event, seconds: float) -> None:
        super().__init__(daemon=True)
        self.seconds: list[float] = []
        self.failures = 0
        self.ready = threading.Event()
        self._database = database
        self._start_all = start
        self._limit_seconds = seconds
        self._presence = Presence(f"worker-{number:04d}", (Queue.GENERATION,), pid=number + 1)

    def run(self) -> None:
        """Register, wait for the others, then claim and close until the time is over or nothing waits."""
        with self._database.transaction() as session:
            self._presence.register(session)
        self.ready.set()
        self._start_all.wait()
        began, held = time.perf_counter(), None
        while time.perf_counter() - began < self._limit_seconds:
            at = time.perf_counter()
            try:
                held = self._next(held)
            except DBAPIError:
                self.failures += 1
                continue
            if held is None:
                return
            self.seconds.append(time.perf_counter() - at)

    def _next(self, held: Claim | None) -> Claim | None:
        with self._database.exclusive() as session:
            ended = lifecycle.finish_unsettled(session, held.unit_id, held.attempt) if held else None
            claimed = claim(session, Queue.GENERATION, self._presence.name)
            if claimed is not None:
                self._presence.show(session, WorkerState.BUSY, claimed.unit_id, done=1 if held else 0)
            if ended is not None:
                settle_after_claim(session, ended, claimed)
            return claimed


class BeatingWorker(Worker):
    """One that has a unit and beats for it, as fast as it can."""

    def _next(self, held: Claim | None) -> Claim | None:
        if held is None:
            return super()._next(None)
        with self._database.transaction() as session:
            lifecycle.beat(session, held.unit_id, held.attempt)
            self._presence.beat(session, WorkerState.BUSY)
        return held


def main() -> None:
    """Run some workers and print what they did."""
    url, first, count, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    kind = BeatingWorker if sys.argv[5:] == ["beat"] else Worker
    start = threading.Event()
    # One connection each, as a worker of its own would hold while it claims.
    databases = [Database(url) for _ in range((count + 39) // 40)]
    workers = [kind(first + number, databases[number // 40], start, seconds) for number in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.ready.wait()
    print("ready", flush=True)
    sys.stdin.readline()
    start.set()
    for worker in workers:
        worker.join()
    print(
        json.dumps({"seconds": [s for w in workers for s in w.seconds], "failures": sum(w.failures for w in workers)})
    )


if __name__ == "__main__":
    main()
