"""Generations and their takes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.models.base import NEVER_REUSE_IDS, Base, utc_now
from core.models.jobs import Job
from core.models.trainings import Model


class Generation(Base):
    """One request: a model, sampling settings and a list of seeds.

    `settings` is a `core.sampling.settings.GenerationSettings` whose seeds are written out (never "32 random");
    `primer_key` names the artifact of the primer's MIDI file. `purpose` is empty, or "evaluation" where the takes were
    made to be measured: lists leave those out.
    """

    __tablename__ = "generation"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"))
    model_id: Mapped[int | None] = mapped_column(ForeignKey("model.id", ondelete="SET NULL"))
    model_name: Mapped[str] = mapped_column(Text)
    model_hash: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text, default="local")
    settings: Mapped[dict[str, Any]]
    primer_key: Mapped[str] = mapped_column(Text, default="")
    primer_title: Mapped[str] = mapped_column(Text, default="")
    purpose: Mapped[str] = mapped_column(Text, default="", server_default="")
    takes_total: Mapped[int]
    takes_done: Mapped[int] = mapped_column(default=0)
    stored_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    notes_per_second: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    job: Mapped[Job | None] = relationship()
    model: Mapped[Model | None] = relationship()

    __table_args__ = (
        Index("ix_generation_job_id", "job_id"),
        Index("ix_generation_model_id", "model_id"),
        Index("ix_generation_created_at", "created_at"),
        Index("ix_generation_owner", "owner"),
        Index("ix_generation_primer_key", "primer_key"),
        Index("ix_generation_purpose_id_takes_done", "purpose", "id", "takes_done"),
        NEVER_REUSE_IDS,
    )


class Take(Base):
    """One generated piece. `index` is its place in the generation's plan; a row means the file is stored.

    `defect` is empty, "silent" or "stuck". `measures` holds `core.music.measures` figures; those that pages sort by
    have columns of their own.
    """

    __tablename__ = "take"

    id: Mapped[int] = mapped_column(primary_key=True)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"))
    index: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger)
    temperature: Mapped[float]
    midi_key: Mapped[str] = mapped_column(Text)
    midi_bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(Text)
    notes_count: Mapped[int]
    seconds: Mapped[float]
    notes_per_second: Mapped[float]
    pitch_class_entropy: Mapped[float]
    polyphony: Mapped[float]
    measures: Mapped[dict[str, Any]]
    defect: Mapped[str] = mapped_column(Text, default="")
    starred: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str] = mapped_column(Text, default="")
    downloaded_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    generation: Mapped[Generation] = relationship()

    __table_args__ = (
        Index("ix_take_generation_id_index", "generation_id", "index", unique=True),
        Index("ix_take_generation_id_starred", "generation_id", "starred", "index"),
        Index("ix_take_generation_id_defect", "generation_id", "defect", "index"),
        Index("ix_take_generation_id_notes_count", "generation_id", "notes_count", "index"),
        Index("ix_take_generation_id_seconds", "generation_id", "seconds", "index"),
        Index("ix_take_generation_id_pitch_class_entropy", "generation_id", "pitch_class_entropy", "index"),
        Index("ix_take_generation_id_polyphony", "generation_id", "polyphony", "index"),
        Index("ix_take_generation_id_notes_per_second", "generation_id", "notes_per_second", "index"),
        Index("ix_take_generation_id_seed", "generation_id", "seed", "index"),
        Index("ix_take_sha256", "sha256"),
        NEVER_REUSE_IDS,
    )
