"""What a form's select offers: the newest rows and always the one that was asked for, never another in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import ColumnExpressionArgument, select
from sqlalchemy.orm import Session

from core.models.base import Base
from core.services.paging import fetch_page

T = TypeVar("T", bound=Base)


@dataclass(frozen=True, slots=True)
class Offer(Generic[T]):
    """The options of a select.

    Attributes:
        rows: the newest first; one that was asked for and is older than these is the last.
        total: how many could be chosen in all.
        chosen: the selected one; None where a person has to choose, because the one that was asked for is not there.
        gone: a sentence about that; empty where `chosen` is what was asked for, or nothing was.
    """

    rows: Sequence[T]
    total: int
    chosen: T | None
    gone: str


def offer(
    session: Session,
    table: type[T],
    *conditions: ColumnExpressionArgument[bool],
    asked: str | None,
    most: int,
    noun: str,
    gone: str = "",
) -> Offer[T]:
    """Offer the `most` newest rows that fulfil the conditions, and the one that was asked for wherever it stands.

    Args:
        session: to read from.
        table: of the rows.
        conditions: what a row must fulfil to be chosen at all.
        asked: the number that was asked for, as it came; None where nothing was, which selects the newest.
        most: how many of the newest are listed, 1 or more.
        noun: what the rows are called in the sentence about a missing one, such as "model".
        gone: that sentence, where the caller knows more about it.
    """
    number = table.__table__.c.id
    statement = select(table).where(*conditions).order_by(number.desc())
    found = fetch_page(session, statement, page=1, per_page=most)
    rows = list(found.items)
    if asked is None:
        return Offer(rows, found.total, rows[0] if rows else None, "")
    if not (asked.isascii() and asked.isdigit() and len(asked) < 10):
        refused = f"{asked[:40]!r} is refused; choose one from the list."
        return Offer(rows, found.total, None, gone or (refused if asked else "Choose one from the list."))
    chosen = session.scalar(statement.where(number == int(asked)))
    if chosen is None:
        return Offer(rows, found.total, None, gone or f"No {noun} has the number {asked} (any more); choose another.")
    if chosen not in rows:
        rows.append(chosen)
    return Offer(rows, found.total, chosen, "")
