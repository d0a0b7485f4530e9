"""What people want to be told of, and the outbox of what they are told."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import NEVER_REUSE_IDS, Base, utc_now
from core.models.jobs import text_enum


class Way(StrEnum):
    """How somebody is told."""

    BROWSER = "browser"
    EMAIL = "email"
    WEBHOOK = "webhook"


class DeliveryState(StrEnum):
    """Where a delivery stands; what is for browsers is sent as soon as it is written."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class NotificationChoice(Base):
    """What one owner of jobs wants to be told of; without a row, of nothing.

    `min_minutes` leaves out jobs that succeeded sooner after they were asked for. The webhook's secret must be known
    to sign with, so it is stored as it is; after a change the former one signs too for a while, beside the new one.
    """

    __tablename__ = "notification_choice"

    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    finished: Mapped[bool] = mapped_column(default=True)
    failed: Mapped[bool] = mapped_column(default=True)
    min_minutes: Mapped[float] = mapped_column(default=1.0)
    browser: Mapped[bool] = mapped_column(default=False)
    email: Mapped[bool] = mapped_column(default=False)
    email_address: Mapped[str] = mapped_column(Text, default="")
    webhook: Mapped[bool] = mapped_column(default=False)
    webhook_url: Mapped[str] = mapped_column(Text, default="")
    webhook_secret: Mapped[str] = mapped_column(Text, default="")
    former_secret: Mapped[str] = mapped_column(Text, default="")
    secret_changed_at: Mapped[datetime | None]


class Delivery(Base):
    """One message to one person by one way, written in the transaction of what it tells of.

    `message_id` is the same at each attempt, so that whoever gets it twice knows. `content` is what is told of the
    job. `due_at` is when it is tried next; None is at once. `answer` is the last HTTP or SMTP status.
    """

    __tablename__ = "delivery"

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text)
    way: Mapped[Way] = mapped_column(text_enum(Way))
    event: Mapped[str] = mapped_column(Text)
    content: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[DeliveryState] = mapped_column(text_enum(DeliveryState), default=DeliveryState.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]
    answer: Mapped[int | None]
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_delivery_owner_id", "owner", "id"),
        Index("ix_delivery_created_at", "created_at"),
        Index(
            "ix_delivery_waiting",
            "way",
            "owner",
            "id",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        NEVER_REUSE_IDS,
    )
