"""Pages of a long list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, func
from sqlalchemy.orm import Session

from core.errors import InputError

T = TypeVar("T")
LARGEST_PAGE = 500
LAST_PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of `total` items; pages count from 1."""

    items: Sequence[T]
    page: int
    per_page: int
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are, at least 1."""
        return max(1, -(-self.total // self.per_page))


def fetch_page(
    session: Session, statement: Select[T], *, page: int, per_page: int, total: int | None = None
) -> Page[T]:
    """One page of a statement's rows; `total` spares the count where it is known already.

    Raises:
        InputError: a page outside 1 to `LAST_PAGE`, or a page size outside 1 to `LARGEST_PAGE`.
    """
    if not 1 <= page <= LAST_PAGE:
        raise InputError.of("page", f"page: {page} is refused; allowed is 1 to {LAST_PAGE:,}.")
    if not 1 <= per_page <= LARGEST_PAGE:
        raise InputError.of("per_page", f"per_page: {per_page} is refused; allowed is 1 to {LARGEST_PAGE}.")
    if total is None:
        # Counting the statement itself, not a subquery of all its columns, lets an index alone answer.
        counted: Select[Any] = statement.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)
        total = session.scalar(counted) or 0
    rows = session.scalars(statement.limit(per_page).offset((page - 1) * per_page)).all()
    return Page(rows, page, per_page, total)


def sort_column(columns: dict[str, Any], sort: str) -> Any:
    """The column that `sort` names.

    Raises:
        InputError: no such sort order; the message lists those there are.
    """
    if sort not in columns:
        raise InputError.of("sort", f"sort: {sort!r} is unknown; allowed are {', '.join(columns)}.")
    return columns[sort]
