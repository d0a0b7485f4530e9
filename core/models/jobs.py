"""Jobs (what a user asked for), their units (what one worker runs) and their logs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Enum, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.models.base import NEVER_REUSE_IDS, Base, utc_now
from core.queue.names import Queue

__all__ = ["Job", "JobKind", "JobLog", "JobState", "OwnerTurn", "Queue", "Unit", "UnitState", "text_enum"]


class JobKind(StrEnum):
    """What a job does; each kind has one function in `worker.tasks`."""

    IMPORT = "import"
    TRAINING = "training"
    GENERATION = "generation"
    EVALUATION = "evaluation"
    AUDIO = "audio"


class JobState(StrEnum):
    """Where a job stands. Being paused is a flag beside it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


class UnitState(StrEnum):
    """Where a unit stands; `held` is waiting while its job is paused or its time has not come."""

    WAITING = "waiting"
    HELD = "held"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


def text_enum(cls: type[StrEnum]) -> Enum:
    """An enum stored as its value in a text column with a check, the same on every database."""
    return Enum(
        cls,
        native_enum=False,
        length=16,
        create_constraint=True,
        name=cls.__name__.lower(),
        values_callable=lambda members: [member.value for member in members],
    )


class Job(Base):
    """What a user asked for, from submission to its end.

    `position` orders the jobs of one owner; it begins as the job's number. While `not_before` is set, the job's units
    are held; the maintenance process clears it when its time has come.
    """

    __tablename__ = "job"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[JobKind] = mapped_column(text_enum(JobKind))
    title: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text, default="local")
    state: Mapped[JobState] = mapped_column(text_enum(JobState), default=JobState.QUEUED)
    paused: Mapped[bool] = mapped_column(default=False)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    queue: Mapped[Queue] = mapped_column(text_enum(Queue))
    priority: Mapped[int] = mapped_column(default=0)
    position: Mapped[float] = mapped_column(default=0.0)
    not_before: Mapped[datetime | None]
    request: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    phase: Mapped[str] = mapped_column(Text, default="")
    progress_done: Mapped[float] = mapped_column(default=0.0)
    progress_total: Mapped[float] = mapped_column(default=0.0)
    progress_unit: Mapped[str] = mapped_column(Text, default="")
    rate: Mapped[float | None]
    rate_unit: Mapped[str] = mapped_column(Text, default="")
    seconds_left: Mapped[float | None]
    live: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error: Mapped[str] = mapped_column(Text, default="")
    error_trace: Mapped[str] = mapped_column(Text, default="")
    retry_of_id: Mapped[int | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"))

    units: Mapped[list[Unit]] = relationship(back_populates="job", cascade="all, delete-orphan", passive_deletes=True)

    __table_args__ = (
        Index("ix_job_state_id", "state", "id"),
        Index("ix_job_kind_id", "kind", "id"),
        Index("ix_job_owner_id", "owner", "id"),
        Index("ix_job_retry_of_id", "retry_of_id"),
        Index("ix_job_waiting", "queue", "state", "priority", "owner", "position", "id"),
        Index(
            "ix_job_not_before",
            "not_before",
            sqlite_where=text("not_before IS NOT NULL"),
            postgresql_where=text("not_before IS NOT NULL"),
        ),
        NEVER_REUSE_IDS,
    )


class Unit(Base):
    """What one worker runs at a time: a whole job, or one tile of a generation's seeds.

    `attempt` grows with every claim and guards every write of the worker that holds the unit. `strikes` counts
    attempts that ended without a resume point or a take; `beat` is a counter that grows while the unit runs, so that
    silence can be judged by one observer's own clock. `work` is an amount in a measure of its kind of job (notes to
    compose, operations to compute), from which times are estimated. `yield_requested` asks a running unit to give its
    device to others and to wait for its next turn.
    """

    __tablename__ = "unit"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    index: Mapped[int] = mapped_column(default=0)
    queue: Mapped[Queue] = mapped_column(text_enum(Queue))
    owner: Mapped[str] = mapped_column(Text)
    priority: Mapped[int] = mapped_column(default=0)
    position: Mapped[float] = mapped_column(default=0.0)
    state: Mapped[UnitState] = mapped_column(text_enum(UnitState), default=UnitState.WAITING)
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    attempt: Mapped[int] = mapped_column(default=0)
    strikes: Mapped[int] = mapped_column(default=0)
    progressed: Mapped[bool] = mapped_column(default=False)
    yield_requested: Mapped[bool] = mapped_column(default=False)
    work: Mapped[float] = mapped_column(default=1.0)
    worker: Mapped[str] = mapped_column(Text, default="")
    beat: Mapped[int] = mapped_column(default=0)
    claimed_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    job: Mapped[Job] = relationship(back_populates="units")

    __table_args__ = (
        Index("ix_unit_job_id_index", "job_id", "index", unique=True),
        Index("ix_unit_claim", "queue", "state", "priority", "owner", "position", "id"),
        Index("ix_unit_job_id_state", "job_id", "state"),
        NEVER_REUSE_IDS,
    )


class OwnerTurn(Base):
    """When an owner was last served by a queue: a counter, so that the one who waited longest comes next.

    `blocked` keeps the owner from being served: the hours of GPU of this week are used up.
    """

    __tablename__ = "owner_turn"

    queue: Mapped[Queue] = mapped_column(text_enum(Queue), primary_key=True)
    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    served: Mapped[int] = mapped_column(default=0)
    blocked: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (Index("ix_owner_turn_queue_served", "queue", "served"),)


class JobLog(Base):
    """One line of a job's log."""

    __tablename__ = "job_log"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(default=utc_now)
    level: Mapped[str] = mapped_column(Text, default="info")
    message: Mapped[str] = mapped_column(Text)

    __table_args__ = (
        Index("ix_job_log_job_id_id", "job_id", "id"),
        NEVER_REUSE_IDS,
    )
