"""Workers as they show themselves."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, utc_now
from core.models.jobs import text_enum


class WorkerState(StrEnum):
    """What a worker is doing. Ready means loaded."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    STOPPING = "stopping"
    GONE = "gone"


class Worker(Base):
    """One worker: a Celery parent with one child that runs units. A `draining` one takes nothing new.

    `figures` is what it last measured of its machine: a `core.machine.MachineFigures`. `busy_seconds` is the time that
    it spent on units in all. `problem` says why it cannot serve, while it cannot.
    """

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int]
    queues: Mapped[list[Any]]
    device: Mapped[str] = mapped_column(Text, default="")
    version: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[WorkerState] = mapped_column(text_enum(WorkerState), default=WorkerState.STARTING)
    problem: Mapped[str] = mapped_column(Text, default="")
    stop_requested: Mapped[bool] = mapped_column(default=False)
    draining: Mapped[bool] = mapped_column(default=False)
    unit_id: Mapped[int | None]
    units_done: Mapped[int] = mapped_column(default=0)
    busy_seconds: Mapped[float] = mapped_column(default=0.0)
    figures: Mapped[dict[str, Any]] = mapped_column(default=dict)
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    beat: Mapped[int] = mapped_column(default=0)
    seen_at: Mapped[datetime] = mapped_column(default=utc_now)
