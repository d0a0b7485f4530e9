"""Rows that must not change or vanish while something is decided about them, and words that a database can take."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.base import Base

T = TypeVar("T", bound=Base)


def locked(session: Session, table: type[T], row_id: int) -> T | None:
    """The row as it is now, kept from all other writers until the transaction ends; None when there is none.

    SQLite lets one transaction write at a time, so that only PostgreSQL needs the lock.
    """
    return _fetch(session, table, row_id, shared=False)


def kept(session: Session, table: type[T], row_id: int) -> T | None:
    """The row as it is now, kept from being deleted until the transaction ends; None when there is none.

    For rows that a new row will point at: a deletion waits, and then sees the new row.
    """
    return _fetch(session, table, row_id, shared=True)


def storable(text: str) -> str:
    """Text without what a database refuses: zero characters and halves of character pairs."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def _fetch(session: Session, table: type[T], row_id: int, *, shared: bool) -> T | None:
    statement = (
        select(table)
        .where(table.__table__.c.id == row_id)
        .with_for_update(read=shared, key_share=shared)
        .execution_options(populate_existing=True)
    )
    return session.scalars(statement).one_or_none()
