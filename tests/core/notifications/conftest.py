"""Jobs that end, and people who want to be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from core.models.base import utc_now
from core.models.jobs import JobKind, Queue
from core.models.notifications import Delivery, NotificationChoice
from core.notifications.signing import new_webhook_secret
from core.queue.claim import claim
from core.queue.enqueue import enqueue
from core.queue.lifecycle import fail, finish
from core.records.database import Database
from tests.tools.receivers import Hooks, Mailbox, receive_hooks, receive_mail


@pytest.fixture
def end_job(database: Database) -> Callable[..., int]:
    """Runs a job to its end, as a worker does; its number."""

    def end(owner: str = "ann", error: str = "", minutes: float = 5.0, title: str = "A training") -> int:
        with database.transaction() as session:
            job = enqueue(
                session,
                kind=JobKind.IMPORT,
                queue=Queue.LIGHT,
                title=title,
                owner=owner,
                payloads=[{}],
                request={},
            )
            job.created_at = utc_now() - timedelta(minutes=minutes)
        with database.exclusive() as session:
            claimed = claim(session, Queue.LIGHT, "worker")
        assert claimed is not None
        with database.transaction() as session:
            if error:
                fail(session, claimed.unit_id, claimed.attempt, error)
            else:
                finish(session, claimed.unit_id, claimed.attempt)
        return job.id

    return end


@pytest.fixture
def choose(database: Database) -> Callable[..., NotificationChoice]:
    """Stores what somebody wants to be told of."""

    def put(owner: str = "ann", **values: object) -> NotificationChoice:
        row = NotificationChoice(owner=owner, webhook_secret=new_webhook_secret(), min_minutes=0.0)
        for name, value in values.items():
            setattr(row, name, value)
        with database.transaction() as session:
            session.add(row)
        return row

    return put


@pytest.fixture
def deliveries(database: Database) -> Callable[[], Sequence[Delivery]]:
    """The outbox."""

    def read() -> Sequence[Delivery]:
        with database.reading() as session:
            return session.scalars(select(Delivery).order_by(Delivery.id)).all()

    return read


@pytest.fixture
def make_due(database: Database) -> Callable[[], None]:
    """Lets the time of every delivery come."""

    def come() -> None:
        with database.transaction() as session:
            session.execute(update(Delivery).values(due_at=utc_now() - timedelta(seconds=1)))

    return come


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    """A server that takes webhooks."""
    with receive_hooks() as received:
        yield received


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A server that takes e-mails."""
    with receive_mail() as received:
        yield received
