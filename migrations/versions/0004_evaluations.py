"""Evaluations, shared passages, generations made to be measured, and trainings that are evaluated when they end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_MOMENT = sa.DateTime(timezone=True)


def _points_at(table: str, column: str, other: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=f"fk_{table}_{column}_{other}", ondelete=ondelete)


def upgrade() -> None:
    """Add the two tables and the two columns."""
    op.add_column("generation", sa.Column("purpose", sa.Text(), nullable=False, server_default=""))
    op.add_column("training", sa.Column("evaluate", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "evaluation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=True),
        sa.Column("generation_id", sa.Integer(), nullable=True),
        sa.Column("dataset_name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("settings", _JSON, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("results", _JSON, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("finished_at", _MOMENT, nullable=True),
        _points_at("evaluation", "job_id", "job", "SET NULL"),
        _points_at("evaluation", "model_id", "model", "CASCADE"),
        _points_at("evaluation", "dataset_id", "dataset", "SET NULL"),
        _points_at("evaluation", "generation_id", "generation", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_evaluation"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_evaluation_job_id", "evaluation", ["job_id"])
    op.create_index("ix_evaluation_model_id_id", "evaluation", ["model_id", "id"])
    op.create_index("ix_evaluation_dataset_id", "evaluation", ["dataset_id"])
    op.create_index("ix_evaluation_generation_id", "evaluation", ["generation_id"])
    op.create_table(
        "shared_passage",
        sa.Column("take_id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("piece_id", sa.Integer(), nullable=True),
        sa.Column("notes", sa.Integer(), nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("take_begin_seconds", sa.Double(), nullable=False),
        sa.Column("take_end_seconds", sa.Double(), nullable=False),
        sa.Column("piece_begin_seconds", sa.Double(), nullable=False),
        sa.Column("piece_end_seconds", sa.Double(), nullable=False),
        sa.Column("transposition", sa.Integer(), nullable=False),
        sa.Column("tempo", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        _points_at("shared_passage", "take_id", "take", "CASCADE"),
        _points_at("shared_passage", "dataset_id", "dataset", "CASCADE"),
        _points_at("shared_passage", "piece_id", "piece", "SET NULL"),
        sa.PrimaryKeyConstraint("take_id", "dataset_id", name="pk_shared_passage"),
    )
    op.create_index("ix_shared_passage_dataset_id", "shared_passage", ["dataset_id"])
    op.create_index("ix_shared_passage_piece_id", "shared_passage", ["piece_id"])


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("shared_passage")
    op.drop_table("evaluation")
    op.drop_column("training", "evaluate")
    op.drop_column("generation", "purpose")
