"""How administrators steer the queues: pauses, limits of people, and what people have used."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, utc_now
from core.models.jobs import Queue, text_enum

EVERYBODY = ""
"""The owner of the limits that hold for all who have none of their own."""


class QueueControl(Base):
    """Whether a queue is paused; a queue without a row is not.

    With `stop_running` what runs stops at its next resume point, else it goes on to its end. `start_paused` is the
    choice for the next start of the whole system.
    """

    __tablename__ = "queue_control"

    queue: Mapped[Queue] = mapped_column(text_enum(Queue), primary_key=True)
    paused: Mapped[bool] = mapped_column(default=False)
    stop_running: Mapped[bool] = mapped_column(default=False)
    start_paused: Mapped[bool] = mapped_column(default=False)
    changed_by: Mapped[str] = mapped_column(Text, default="")
    changed_at: Mapped[datetime] = mapped_column(default=utc_now)


class PersonLimit(Base):
    """The most that one owner may have at a time; None is no limit. An owner's row takes the place of `EVERYBODY`'s."""

    __tablename__ = "person_limit"

    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    waiting_jobs: Mapped[int | None]
    running_units: Mapped[int | None]
    gpu_hours_week: Mapped[float | None]
    storage_bytes: Mapped[int | None] = mapped_column(BigInteger)
    changed_by: Mapped[str] = mapped_column(Text, default="")
    changed_at: Mapped[datetime] = mapped_column(default=utc_now)


class UsageDay(Base):
    """Seconds for which units of an owner held a GPU, by the UTC day on which they let go of it."""

    __tablename__ = "usage_day"

    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    gpu_seconds: Mapped[float] = mapped_column(default=0.0)
