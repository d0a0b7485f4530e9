"""Taking from the outbox: which deliveries are tried now, by which process, and what becomes of them.

A process takes a delivery for a while (its next attempt is put off) before it sends, and writes the end afterwards. One
that dies in between has perhaps sent it: it is sent once more then, under the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session, aliased

from core.models.base import utc_now
from core.models.notifications import Delivery, DeliveryState, Way
from core.notifications.outbox import TEST
from core.records.database import Database, announce

PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 60, 300, 1_800, 7_200, 18_000, 36_000))
"""Between the attempts; after the last of them a delivery has failed, about 18 hours after the first."""
_TAKEN = timedelta(minutes=3)
_LONGEST_ERROR = 300


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended: `error` is empty when it arrived; `final` ones are not tried again."""

    answer: int | None = None
    error: str = ""
    final: bool = False


def take_due(
    database: Database, way: Way, *, most: int, most_of_one: int, calm: timedelta = timedelta(0)
) -> Sequence[Delivery]:
    """Deliveries whose time has come, taken for this process alone for some minutes.

    Args:
        database: where the outbox is.
        way: by which way they are sent.
        most: how many at a time.
        most_of_one: how many of one owner, so that nobody's receiver that is away holds up those of others.
        calm: least time between two messages to one owner; what comes meanwhile waits and is told together. Tests
            do not wait.
    """
    now = utc_now()
    rank = func.row_number().over(partition_by=Delivery.owner, order_by=Delivery.id).label("rank")
    due = select(Delivery.id, Delivery.attempts, rank).where(
        Delivery.way == way,
        Delivery.state == DeliveryState.WAITING,
        or_(Delivery.due_at.is_(None), Delivery.due_at <= now),
    )
    if calm:
        other = aliased(Delivery)
        lately = select(other.id).where(
            other.owner == Delivery.owner, other.way == way, other.event != TEST, other.ended_at > now - calm
        )
        due = due.where(or_(Delivery.event == TEST, ~lately.exists()))
    ranked = due.subquery()
    chosen = select(ranked.c.id, ranked.c.attempts).where(ranked.c.rank <= most_of_one).order_by(ranked.c.id)
    with database.reading() as session:
        candidates = session.execute(chosen.limit(most)).all()
    if not candidates:
        return []
    with database.transaction() as session:
        return [row for number, attempts in candidates if (row := _take(session, number, attempts)) is not None]


def record_result(database: Database, delivery: Delivery, result: Result) -> None:
    """Write how the attempt of a taken delivery ended; without effect when another process has taken it since."""
    now = utc_now()
    if not result.error:
        values = {"state": DeliveryState.SENT, "ended_at": now, "error": ""}
    elif result.final or delivery.attempts > len(PAUSES):
        values = {"state": DeliveryState.FAILED, "ended_at": now, "error": result.error[:_LONGEST_ERROR]}
    else:
        values = {"due_at": now + PAUSES[delivery.attempts - 1], "error": result.error[:_LONGEST_ERROR]}
    with database.transaction() as session:
        session.execute(
            update(Delivery)
            .where(
                Delivery.id == delivery.id,
                Delivery.attempts == delivery.attempts,
                Delivery.state == DeliveryState.WAITING,
            )
            .values(answer=result.answer, **values)
            .execution_options(synchronize_session=False)
        )
        announce(session, f"notice:{delivery.id}")


def _take(session: Session, number: int, attempts: int) -> Delivery | None:
    taken: Delivery | None = session.scalars(
        update(Delivery)
        .where(Delivery.id == number, Delivery.attempts == attempts, Delivery.state == DeliveryState.WAITING)
        .values(attempts=attempts + 1, due_at=utc_now() + _TAKEN)
        .returning(Delivery)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).one_or_none()
    return taken
