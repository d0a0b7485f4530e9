"""Trainings, the points of their curves, and the models that they produce."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Text, false, func, select
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from core.models.base import NEVER_REUSE_IDS, Base, utc_now
from core.models.datasets import Dataset
from core.models.jobs import Job


class Model(Base):
    """Architecture, weights, encoding and the settings that made it. `content_hash` names the music it makes.

    `figures` holds measured numbers such as {"held_out_nats_per_event": 2.1, "held_out_nats_per_note": 6.9}.
    `training_id` and `dataset_id` name what made it, also for an uploaded copy of a model that was trained here;
    `dataset_name` and `dataset_hash` (the content hash) are of that dataset as it was then, and outlive it.
    """

    __tablename__ = "model"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text, default="local")
    family: Mapped[str] = mapped_column(Text)
    encoding: Mapped[str] = mapped_column(Text)
    settings: Mapped[dict[str, Any]]
    figures: Mapped[dict[str, Any]] = mapped_column(default=dict)
    parameters: Mapped[int]
    content_hash: Mapped[str] = mapped_column(Text)
    checkpoint_key: Mapped[str] = mapped_column(Text)
    last_checkpoint_key: Mapped[str] = mapped_column(Text, default="")
    stored_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    origin: Mapped[str] = mapped_column(Text, default="trained")
    training_id: Mapped[int | None] = mapped_column(ForeignKey("training.id", ondelete="SET NULL"))
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("dataset.id", ondelete="SET NULL"))
    dataset_name: Mapped[str] = mapped_column(Text, default="")
    dataset_hash: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    __table_args__ = (
        Index("ix_model_content_hash", "content_hash"),
        Index("ix_model_created_at", "created_at"),
        Index("ix_model_training_id", "training_id"),
        Index("ix_model_dataset_id", "dataset_id"),
        NEVER_REUSE_IDS,
    )


class Training(Base):
    """One training run on a dataset; its model appears when it ends, and more of them when its best is kept before.

    `model_id` is the newest of its models that are there. `evaluate` says whether an evaluation follows by itself.
    """

    __tablename__ = "training"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"))
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("dataset.id", ondelete="SET NULL"))
    name: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text, default="local")
    family: Mapped[str] = mapped_column(Text)
    settings: Mapped[dict[str, Any]]
    step: Mapped[int] = mapped_column(default=0)
    steps: Mapped[int] = mapped_column(default=0)
    epoch: Mapped[float] = mapped_column(default=0.0)
    resume_key: Mapped[str] = mapped_column(Text, default="")
    resume_step: Mapped[int] = mapped_column(default=0)
    best_key: Mapped[str] = mapped_column(Text, default="")
    last_key: Mapped[str] = mapped_column(Text, default="")
    evaluate: Mapped[bool] = mapped_column(default=True, server_default=false())
    stop_reason: Mapped[str] = mapped_column(Text, default="")
    figures: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    job: Mapped[Job | None] = relationship()
    dataset: Mapped[Dataset | None] = relationship()
    model_id: Mapped[int | None] = column_property(
        select(func.max(Model.id))
        .where(Model.training_id == id, Model.origin == "trained")  # noqa: A003  # the column, not the builtin
        .correlate_except(Model)
        .scalar_subquery()
    )

    __table_args__ = (
        Index("ix_training_job_id", "job_id"),
        Index("ix_training_dataset_id", "dataset_id"),
        NEVER_REUSE_IDS,
    )


class TrainingPoint(Base):
    """One point of a training's curves: the named values measured at a step.

    Among them "seconds", how long the training had run by then; points of earlier versions have only `at`.
    """

    __tablename__ = "training_point"

    training_id: Mapped[int] = mapped_column(ForeignKey("training.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[float] = mapped_column(default=0.0)
    values: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(default=utc_now)

    @property
    def seconds(self) -> float | None:
        """How long the training had run, pauses left out; None where that was not counted."""
        seconds: float | None = self.values.get("seconds")
        return seconds
