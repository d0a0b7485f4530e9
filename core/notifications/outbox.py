"""The outbox: what is told of jobs that have ended, written in the transaction in which they end.

So nothing is told of what did not happen, and nothing is lost when a process dies before it has told it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.errors import ConflictError, NotFoundError
from core.models.base import utc_now
from core.models.jobs import Job, JobState
from core.models.notifications import Delivery, DeliveryState, NotificationChoice, Way
from core.records.database import Database, announce
from core.services.paging import Page, fetch_page
from core.services.rows import locked

FINISHED = "job.finished"
FAILED = "job.failed"
TEST = "test"
KEPT_DAYS = 30
# Open pages that were away for longer show nothing of what happened meanwhile: the page itself shows it.
_NEWS = timedelta(minutes=10)
_MOST_NEWS = 20
_BETWEEN_TESTS = timedelta(seconds=5)
_LONGEST_TEXT = 500
_EVENTS = {JobState.SUCCEEDED: FINISHED, JobState.FAILED: FAILED}


def note_end(session: Session, job: Job) -> None:
    """Write what the owner of a job that ends in this transaction wants to be told of it."""
    event = _EVENTS.get(job.state)
    if event is None or job.finished_at is None:
        return
    choice = session.get(NotificationChoice, job.owner)
    if choice is None or not (choice.finished if event == FINISHED else choice.failed):
        return
    if event == FINISHED and job.finished_at - job.created_at < timedelta(minutes=choice.min_minutes):
        return
    content = {
        "id": job.id,
        "kind": job.kind.value,
        "title": job.title[:_LONGEST_TEXT],
        "state": job.state.value,
        "owner": job.owner,
        "error": job.error[:_LONGEST_TEXT],
        "created_at": _iso(job.created_at),
        "started_at": _iso(job.started_at),
        "finished_at": _iso(job.finished_at),
    }
    for way in Way:
        if getattr(choice, way.value):
            _add(session, job.owner, way, event, content)


def note_test(session: Session, owner: str, way: Way) -> Delivery:
    """Write a message that tells of nothing, to see whether it arrives.

    Raises:
        ConflictError: there was one a moment ago.
    """
    lately = select(Delivery.id).where(
        Delivery.owner == owner,
        Delivery.way == way,
        Delivery.event == TEST,
        Delivery.created_at > utc_now() - _BETWEEN_TESTS,
    )
    if session.scalar(lately.limit(1)) is not None:
        seconds = _BETWEEN_TESTS.total_seconds()
        raise ConflictError(f"A test was sent a moment ago; wait {seconds:.0f} s before the next.")
    return _add(session, owner, way, TEST, {})


def find_deliveries(session: Session, owner: str, *, page: int = 1, per_page: int = 50) -> Page[Delivery]:
    """What one owner was told by e-mail and webhook, the newest first."""
    statement = select(Delivery).where(Delivery.owner == owner, Delivery.way != Way.BROWSER)
    return fetch_page(session, statement.order_by(Delivery.id.desc()), page=page, per_page=per_page)


def last_notice_id(session: Session, owner: str) -> int:
    """The number of an owner's newest message for browsers, 0 without one."""
    statement = select(Delivery.id).where(Delivery.owner == owner, Delivery.way == Way.BROWSER)
    return session.scalar(statement.order_by(Delivery.id.desc()).limit(1)) or 0


def notices_after(session: Session, owner: str, after_id: int) -> Sequence[Delivery]:
    """An owner's messages for browsers of the last minutes with larger numbers than `after_id`, the oldest first."""
    statement = (
        select(Delivery)
        .where(
            Delivery.owner == owner,
            Delivery.way == Way.BROWSER,
            Delivery.id > after_id,
            Delivery.created_at > utc_now() - _NEWS,
        )
        .order_by(Delivery.id.desc())
        .limit(_MOST_NEWS)
    )
    return list(reversed(session.scalars(statement).all()))


def send_again(session: Session, owner: str, delivery_id: int) -> Delivery:
    """Try a failed delivery again, from its first attempt on.

    Raises:
        NotFoundError: this owner has no such delivery.
        ConflictError: it has not failed.
    """
    row = locked(session, Delivery, delivery_id)
    if row is None or row.owner != owner:
        raise NotFoundError(f"You have no delivery {delivery_id}.")
    if row.state is not DeliveryState.FAILED:
        raise ConflictError(f"Delivery {delivery_id} is {row.state.value}; only failed ones are sent again.")
    row.state, row.attempts, row.due_at, row.ended_at = DeliveryState.WAITING, 0, None, None
    announce(session, f"notice:{row.id}")
    return row


def delete_old(database: Database) -> int:
    """Forget what was told more than `KEPT_DAYS` days ago, and what never arrived in that time; how many."""
    with database.transaction() as session:
        gone = session.execute(
            delete(Delivery)
            .where(Delivery.created_at < utc_now() - timedelta(days=KEPT_DAYS))
            .returning(Delivery.id)
            .execution_options(synchronize_session=False)
        )
        return len(gone.all())


def _add(session: Session, owner: str, way: Way, event: str, content: dict[str, Any]) -> Delivery:
    now = utc_now()
    row = Delivery(message_id=f"msg_{secrets.token_urlsafe(18)}", owner=owner, way=way, event=event, content=content)
    row.created_at = now
    if way is Way.BROWSER:
        # Open pages hear of it with the commit, and fetch it.
        row.state, row.ended_at = DeliveryState.SENT, now
    session.add(row)
    session.flush()
    announce(session, f"notice:{row.id}")
    return row


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
