"""What administrators decide about the whole installation, and the sign that it runs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import NEVER_REUSE_IDS, Base, utc_now

ONLY_ROW = 1
"""The number of the one row of a table that has one."""


class SystemBeat(Base):
    """When the maintenance process was last there, by the database's own clock: whether a start is one of the whole."""

    __tablename__ = "system_beat"

    id: Mapped[int] = mapped_column(primary_key=True, default=ONLY_ROW)
    seen_at: Mapped[datetime]


class RetentionRule(Base):
    """Days after which takes that nobody kept go; 0 keeps all. Without a row the installation's setting holds."""

    __tablename__ = "retention_rule"

    id: Mapped[int] = mapped_column(primary_key=True, default=ONLY_ROW)
    days: Mapped[int]
    changed_by: Mapped[str] = mapped_column(Text, default="")
    changed_at: Mapped[datetime] = mapped_column(default=utc_now)


class RetentionRun(Base):
    """One deletion of takes that nobody kept: asked for by a person, or by the rule (`asked_by` is empty then).

    Takes made before `before` go. `takes` and `bytes` grow while it runs.
    """

    __tablename__ = "retention_run"

    id: Mapped[int] = mapped_column(primary_key=True)
    days: Mapped[int]
    before: Mapped[datetime]
    asked_by: Mapped[str] = mapped_column(Text, default="")
    asked_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    takes: Mapped[int] = mapped_column(default=0)
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    error: Mapped[str] = mapped_column(Text, default="")

    __table_args__ = (
        Index("ix_retention_run_finished_at", "finished_at"),
        NEVER_REUSE_IDS,
    )
