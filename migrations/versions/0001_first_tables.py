"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_MOMENT = sa.DateTime(timezone=True)


def _choice(name: str, *values: str) -> sa.Enum:
    """Text that is one of `values`, checked by the database."""
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=16)


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "kind", _choice("jobkind", "import", "training", "generation", "evaluation", "audio"), nullable=False
        ),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column(
            "state", _choice("jobstate", "queued", "running", "succeeded", "failed", "cancelled"), nullable=False
        ),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("queue", _choice("queue", "training", "generation", "light"), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("request", _JSON, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("started_at", _MOMENT, nullable=True),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("progress_done", sa.Double(), nullable=False),
        sa.Column("progress_total", sa.Double(), nullable=False),
        sa.Column("progress_unit", sa.Text(), nullable=False),
        sa.Column("rate", sa.Double(), nullable=True),
        sa.Column("rate_unit", sa.Text(), nullable=False),
        sa.Column("seconds_left", sa.Double(), nullable=True),
        sa.Column("live", _JSON, nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("error_trace", sa.Text(), nullable=False),
        sa.Column("retry_of_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["retry_of_id"], ["job.id"], name="fk_job_retry_of_id_job", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_kind_id", "job", ["kind", "id"])
    op.create_index("ix_job_owner_id", "job", ["owner", "id"])
    op.create_index("ix_job_queue_state_priority_id", "job", ["queue", "state", "priority", "id"])
    op.create_index("ix_job_retry_of_id", "job", ["retry_of_id"])
    op.create_index("ix_job_state_id", "job", ["state", "id"])

    op.create_table(
        "model",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("encoding", sa.Text(), nullable=False),
        sa.Column("settings", _JSON, nullable=False),
        sa.Column("figures", _JSON, nullable=False),
        sa.Column("parameters", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("checkpoint_key", sa.Text(), nullable=False),
        sa.Column("last_checkpoint_key", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("dataset_name", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_model"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_model_content_hash", "model", ["content_hash"])
    op.create_index("ix_model_created_at", "model", ["created_at"])

    op.create_table(
        "owner_turn",
        sa.Column("queue", _choice("queue", "training", "generation", "light"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("served", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("queue", "owner", name="pk_owner_turn"),
    )
    op.create_index("ix_owner_turn_queue_served", "owner_turn", ["queue", "served"])

    op.create_table(
        "upload",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_upload"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_upload_created_at", "upload", ["created_at"])
    op.create_index("ix_upload_sha256", "upload", ["sha256"])

    op.create_table(
        "worker",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("queues", _JSON, nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("state", _choice("workerstate", "starting", "ready", "busy", "stopping", "gone"), nullable=False),
        sa.Column("stop_requested", sa.Boolean(), nullable=False),
        sa.Column("unit_id", sa.Integer(), nullable=True),
        sa.Column("units_done", sa.Integer(), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("beat", sa.Integer(), nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_worker"),
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("source", _JSON, nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("pieces_count", sa.Integer(), nullable=False),
        sa.Column("notes_count", sa.Integer(), nullable=False),
        sa.Column("events_count", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("rejected_count", sa.Integer(), nullable=False),
        sa.Column("statistics", _JSON, nullable=False),
        sa.Column("corpus_key", sa.Text(), nullable=False),
        sa.Column("originals_key", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_dataset_job_id_job", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_dataset"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_dataset_created_at", "dataset", ["created_at"])
    op.create_index("ix_dataset_job_id", "dataset", ["job_id"])

    op.create_table(
        "generation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("model_id", sa.Integer(), nullable=True),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("settings", _JSON, nullable=False),
        sa.Column("primer_key", sa.Text(), nullable=False),
        sa.Column("primer_title", sa.Text(), nullable=False),
        sa.Column("takes_total", sa.Integer(), nullable=False),
        sa.Column("takes_done", sa.Integer(), nullable=False),
        sa.Column("notes_per_second", sa.Double(), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_generation_job_id_job", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name="fk_generation_model_id_model", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_generation"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_generation_created_at", "generation", ["created_at"])
    op.create_index("ix_generation_job_id", "generation", ["job_id"])
    op.create_index("ix_generation_model_id", "generation", ["model_id"])
    op.create_index("ix_generation_primer_key", "generation", ["primer_key"])

    op.create_table(
        "job_log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_job_log_job_id_job", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_job_log"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_log_job_id_id", "job_log", ["job_id", "id"])

    op.create_table(
        "unit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("queue", _choice("queue", "training", "generation", "light"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("position", sa.Double(), nullable=False),
        sa.Column(
            "state", _choice("unitstate", "waiting", "held", "running", "done", "failed", "cancelled"), nullable=False
        ),
        sa.Column("payload", _JSON, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("strikes", sa.Integer(), nullable=False),
        sa.Column("progressed", sa.Boolean(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("beat", sa.Integer(), nullable=False),
        sa.Column("claimed_at", _MOMENT, nullable=True),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_unit_job_id_job", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_unit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_unit_claim", "unit", ["queue", "state", "priority", "owner", "position", "id"])
    op.create_index("ix_unit_job_id_index", "unit", ["job_id", "index"], unique=True)
    op.create_index("ix_unit_job_id_state", "unit", ["job_id", "state"])

    op.create_table(
        "piece",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("composer", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("notes_count", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("instruments", _JSON, nullable=False),
        sa.Column("dropped_drum_notes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name="fk_piece_dataset_id_dataset", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_piece"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_piece_dataset_id_index", "piece", ["dataset_id", "index"], unique=True)
    op.create_index("ix_piece_dataset_id_notes_count", "piece", ["dataset_id", "notes_count"])
    op.create_index("ix_piece_dataset_id_seconds", "piece", ["dataset_id", "seconds"])
    op.create_index("ix_piece_dataset_id_title", "piece", ["dataset_id", "title"])
    op.create_index("ix_piece_sha256", "piece", ["sha256"])

    op.create_table(
        "rejection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name="fk_rejection_dataset_id_dataset", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rejection"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_rejection_dataset_id_id", "rejection", ["dataset_id", "id"])

    op.create_table(
        "take",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("temperature", sa.Double(), nullable=False),
        sa.Column("midi_key", sa.Text(), nullable=False),
        sa.Column("midi_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("notes_count", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("notes_per_second", sa.Double(), nullable=False),
        sa.Column("pitch_class_entropy", sa.Double(), nullable=False),
        sa.Column("polyphony", sa.Double(), nullable=False),
        sa.Column("measures", _JSON, nullable=False),
        sa.Column("defect", sa.Text(), nullable=False),
        sa.Column("starred", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generation.id"], name="fk_take_generation_id_generation", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_take"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_take_generation_id_index", "take", ["generation_id", "index"], unique=True)
    op.create_index("ix_take_generation_id_defect", "take", ["generation_id", "defect", "index"])
    op.create_index("ix_take_generation_id_notes_count", "take", ["generation_id", "notes_count", "index"])
    op.create_index("ix_take_generation_id_notes_per_second", "take", ["generation_id", "notes_per_second", "index"])
    op.create_index(
        "ix_take_generation_id_pitch_class_entropy", "take", ["generation_id", "pitch_class_entropy", "index"]
    )
    op.create_index("ix_take_generation_id_polyphony", "take", ["generation_id", "polyphony", "index"])
    op.create_index("ix_take_generation_id_seconds", "take", ["generation_id", "seconds", "index"])
    op.create_index("ix_take_generation_id_seed", "take", ["generation_id", "seed", "index"])
    op.create_index("ix_take_generation_id_starred", "take", ["generation_id", "starred", "index"])
    op.create_index("ix_take_sha256", "take", ["sha256"])

    op.create_table(
        "training",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("dataset_id", sa.Integer(), nullable=True),
        sa.Column("model_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("settings", _JSON, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Double(), nullable=False),
        sa.Column("resume_key", sa.Text(), nullable=False),
        sa.Column("resume_step", sa.Integer(), nullable=False),
        sa.Column("best_key", sa.Text(), nullable=False),
        sa.Column("last_key", sa.Text(), nullable=False),
        sa.Column("stop_reason", sa.Text(), nullable=False),
        sa.Column("figures", _JSON, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name="fk_training_dataset_id_dataset", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_training_job_id_job", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name="fk_training_model_id_model", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_training"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_training_dataset_id", "training", ["dataset_id"])
    op.create_index("ix_training_job_id", "training", ["job_id"])
    op.create_index("ix_training_model_id", "training", ["model_id"])

    op.create_table(
        "training_point",
        sa.Column("training_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Double(), nullable=False),
        sa.Column("values", _JSON, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["training_id"], ["training.id"], name="fk_training_point_training_id_training", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("training_id", "step", name="pk_training_point"),
    )


def downgrade() -> None:
    """Drop every table; indexes go with them."""
    op.drop_table("training_point")
    op.drop_table("training")
    op.drop_table("take")
    op.drop_table("rejection")
    op.drop_table("piece")
    op.drop_table("unit")
    op.drop_table("job_log")
    op.drop_table("generation")
    op.drop_table("dataset")
    op.drop_table("worker")
    op.drop_table("upload")
    op.drop_table("owner_turn")
    op.drop_table("model")
    op.drop_table("job")
