"""Where a new job goes in the queue: its priority, and when it may start."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from core.errors import InputError
from core.fields import PersonSettings, setting
from core.models.base import utc_now
from core.models.jobs import Job
from core.queue.control import start_at
from core.queue.order import Priority, set_priority

_LATEST = timedelta(days=366)
_CHOICES = {"low": "Low", "normal": "Normal", "high": "High"}


class Placement(PersonSettings):
    """What people choose about the place of a job when they submit it, or later."""

    priority: str = setting(
        "normal", "Priority", "Jobs of a higher priority go before all others; high needs a right.", choices=_CHOICES
    )
    start_at: str = setting(
        "", "Start at", "Not before this time, such as 2026-12-24T18:00Z; at once when empty.", max_length=40
    )

    def check(self, may_raise: Callable[[], None]) -> Placement:
        """Refuse what cannot be, before anything is stored.

        Args:
            may_raise: raises if the one who asks has no right to a priority above normal.

        Raises:
            InputError: an unknown priority, or a time that is none, past, or more than a year away.
        """
        if Priority.named(self.priority) > Priority.NORMAL:
            may_raise()
        parse_moment(self.start_at)
        return self

    def apply(self, session: Session, job: Job | None) -> None:
        """Put a job that was just queued into its place, in the same transaction."""
        if job is None:
            return
        priority, moment = Priority.named(self.priority), parse_moment(self.start_at)
        if priority is not Priority.NORMAL:
            set_priority(session, job.id, priority)
        if moment is not None:
            start_at(session, job.id, moment)


def parse_moment(text: str, now: datetime | None = None) -> datetime | None:
    """A moment as ISO 8601 writes it, in UTC where it names no zone; None for an empty text.

    Raises:
        InputError: it is none, past, or more than a year away.
    """
    if not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refused(text, "is no time; write it as 2026-12-24T18:00Z") from None
    now = now or utc_now()
    # What was to be "now" when the form was filled in is not past yet.
    if not now - timedelta(minutes=5) <= moment <= now + _LATEST:
        raise _refused(text, f"is refused; allowed is from now to {now + _LATEST:%Y-%m-%d}")
    return moment


def _refused(text: Any, why: str) -> InputError:
    return InputError.of("start_at", f"start_at: {str(text)[:40]!r} {why}.")
