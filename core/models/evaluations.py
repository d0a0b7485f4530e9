"""Evaluations of models, and the passages that takes share with training pieces."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.models.base import NEVER_REUSE_IDS, Base, utc_now
from core.models.datasets import Dataset, Piece
from core.models.generations import Generation, Take
from core.models.jobs import Job
from core.models.trainings import Model


class Evaluation(Base):
    """One model measured on one dataset.

    `settings` is a `core.evaluation.settings.EvaluationSettings`; `results` holds a part for each stage that is done,
    as `core.evaluation.results` describes them in `version`; `generation_id` names the takes that are measured.
    """

    __tablename__ = "evaluation"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"))
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"))
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("dataset.id", ondelete="SET NULL"))
    generation_id: Mapped[int | None] = mapped_column(ForeignKey("generation.id", ondelete="SET NULL"))
    dataset_name: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text, default="local")
    split: Mapped[str] = mapped_column(Text)
    settings: Mapped[dict[str, Any]]
    version: Mapped[int]
    results: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]

    job: Mapped[Job | None] = relationship()
    model: Mapped[Model] = relationship()
    dataset: Mapped[Dataset | None] = relationship()
    generation: Mapped[Generation | None] = relationship()

    __table_args__ = (
        Index("ix_evaluation_job_id", "job_id"),
        Index("ix_evaluation_model_id_id", "model_id", "id"),
        Index("ix_evaluation_dataset_id", "dataset_id"),
        Index("ix_evaluation_generation_id", "generation_id"),
        NEVER_REUSE_IDS,
    )


class SharedPassage(Base):
    """The longest passage that a take shares with a training piece of a dataset; `notes` is 0 where none is shared.

    `flagged` says that unrelated real pieces seldom share so much; `threshold` from how many notes on that is so.
    """

    __tablename__ = "shared_passage"

    take_id: Mapped[int] = mapped_column(ForeignKey("take.id", ondelete="CASCADE"), primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id", ondelete="CASCADE"), primary_key=True)
    piece_id: Mapped[int | None] = mapped_column(ForeignKey("piece.id", ondelete="SET NULL"))
    notes: Mapped[int]
    threshold: Mapped[int]
    flagged: Mapped[bool]
    take_begin_seconds: Mapped[float] = mapped_column(default=0.0)
    take_end_seconds: Mapped[float] = mapped_column(default=0.0)
    piece_begin_seconds: Mapped[float] = mapped_column(default=0.0)
    piece_end_seconds: Mapped[float] = mapped_column(default=0.0)
    transposition: Mapped[int] = mapped_column(default=0)
    tempo: Mapped[float] = mapped_column(default=1.0)
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    take: Mapped[Take] = relationship()
    dataset: Mapped[Dataset] = relationship()
    piece: Mapped[Piece | None] = relationship()

    __table_args__ = (
        Index("ix_shared_passage_dataset_id", "dataset_id"),
        Index("ix_shared_passage_piece_id", "piece_id"),
    )
