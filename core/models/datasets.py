"""Datasets, their pieces, and the files that could not be used."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.models.base import NEVER_REUSE_IDS, Base, utc_now
from core.models.jobs import Job


class Dataset(Base):
    """A named set of MIDI files, imported once: de-duplicated, split by piece, encoded.

    `source` says where the files come from: {"kind": "starter" | "maestro" | "upload" | "takes", ...}.
    `statistics` holds histograms and totals by split, as `core.datasets.statistics` makes them.
    `corpus_key` and `originals_key` name artifacts: the stored notes and a zip of the files as they came.
    """

    __tablename__ = "dataset"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"))
    name: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text, default="local")
    source: Mapped[dict[str, Any]]
    ready: Mapped[bool] = mapped_column(default=False)
    content_hash: Mapped[str] = mapped_column(Text, default="")
    pieces_count: Mapped[int] = mapped_column(default=0)
    notes_count: Mapped[int] = mapped_column(default=0)
    events_count: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    rejected_count: Mapped[int] = mapped_column(default=0)
    statistics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    corpus_key: Mapped[str] = mapped_column(Text, default="")
    originals_key: Mapped[str] = mapped_column(Text, default="")
    stored_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    job: Mapped[Job | None] = relationship()

    __table_args__ = (
        Index("ix_dataset_job_id", "job_id"),
        Index("ix_dataset_created_at", "created_at"),
        NEVER_REUSE_IDS,
    )


class Piece(Base):
    """One MIDI file of a dataset. `index` is its place in the dataset's stored corpus."""

    __tablename__ = "piece"

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id", ondelete="CASCADE"))
    index: Mapped[int]
    title: Mapped[str] = mapped_column(Text)
    composer: Mapped[str] = mapped_column(Text, default="")
    year: Mapped[int | None]
    file_name: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text)
    split: Mapped[str] = mapped_column(Text)
    notes_count: Mapped[int]
    seconds: Mapped[float]
    instruments: Mapped[list[Any]]
    dropped_drum_notes: Mapped[int] = mapped_column(default=0)

    dataset: Mapped[Dataset] = relationship()

    __table_args__ = (
        Index("ix_piece_dataset_id_index", "dataset_id", "index", unique=True),
        Index("ix_piece_dataset_id_title", "dataset_id", "title"),
        Index("ix_piece_dataset_id_notes_count", "dataset_id", "notes_count"),
        Index("ix_piece_dataset_id_seconds", "dataset_id", "seconds"),
        Index("ix_piece_sha256", "sha256"),
        NEVER_REUSE_IDS,
    )


class Rejection(Base):
    """A file that an import could not use, with the reason as a sentence."""

    __tablename__ = "rejection"

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id", ondelete="CASCADE"))
    file_name: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)

    __table_args__ = (
        Index("ix_rejection_dataset_id_id", "dataset_id", "id"),
        NEVER_REUSE_IDS,
    )
