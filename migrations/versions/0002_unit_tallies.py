"""Counts of what became of units; figures of workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_KINDS = ("import", "training", "generation", "evaluation", "audio")


def upgrade() -> None:
    """Add the table and the columns."""
    op.create_table(
        "unit_tally",
        sa.Column(
            "kind",
            sa.Enum(*_KINDS, name="jobkind", native_enum=False, create_constraint=True, length=16),
            nullable=False,
        ),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Double(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "outcome", "reason", "bucket", name="pk_unit_tally"),
    )
    with op.batch_alter_table("worker") as table:
        table.add_column(sa.Column("figures", _JSON, nullable=False, server_default="{}"))
        table.add_column(sa.Column("busy_seconds", sa.Double(), nullable=False, server_default="0"))
    with op.batch_alter_table("worker") as table:
        table.alter_column("figures", server_default=None)
        table.alter_column("busy_seconds", server_default=None)


def downgrade() -> None:
    """Take them away."""
    with op.batch_alter_table("worker") as table:
        table.drop_column("busy_seconds")
        table.drop_column("figures")
    op.drop_table("unit_tally")
