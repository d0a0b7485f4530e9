"""What the queue's tests share: a short way to put jobs into the queue."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.models.jobs import Job, JobKind, Queue
from core.queue.enqueue import enqueue
from core.records.database import Database


@pytest.fixture
def submit(database: Database) -> Callable[..., Job]:
    """Puts a job with `units` units into the queue."""

    def put(owner: str = "ann", units: int = 1, queue: Queue = Queue.LIGHT, priority: int = 0, title: str = "x") -> Job:
        with database.transaction() as session:
            return enqueue(
                session,
                kind=JobKind.IMPORT,
                queue=queue,
                title=title,
                owner=owner,
                payloads=[{"n": n} for n in range(units)],
                request={},
                priority=priority,
            )

    return put
