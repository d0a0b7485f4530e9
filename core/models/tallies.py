"""What became of units, counted: the figures behind the metrics."""

from __future__ import annotations

from sqlalchemy import BigInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base
from core.models.jobs import JobKind, text_enum


class UnitTally(Base):
    """How many attempts at units of a kind ended in one way within one range of durations; only ever grows.

    `reason` says why an attempt failed, in a word; `bucket` is the upper end of the range of durations in seconds
    (see `core.queue.tallies.BUCKETS`), `count` the number of attempts and `seconds` their time together.
    """

    __tablename__ = "unit_tally"

    kind: Mapped[JobKind] = mapped_column(text_enum(JobKind), primary_key=True)
    outcome: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text, primary_key=True)
    bucket: Mapped[float] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger, default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
