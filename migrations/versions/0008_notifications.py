"""Notifications and their outbox, retention that administrators steer, the system's sign of life, workers' problems."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_MOMENT = sa.DateTime(timezone=True)


def _choice(name: str, *values: str) -> sa.Enum:
    """Text that is one of `values`, checked by the database."""
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=16)


def upgrade() -> None:
    """Make the tables; nobody is told of anything before choosing it, and the setting for retention goes on to hold."""
    op.create_table(
        "notification_choice",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("min_minutes", sa.Double(), nullable=False),
        sa.Column("browser", sa.Boolean(), nullable=False),
        sa.Column("email", sa.Boolean(), nullable=False),
        sa.Column("email_address", sa.Text(), nullable=False),
        sa.Column("webhook", sa.Boolean(), nullable=False),
        sa.Column("webhook_url", sa.Text(), nullable=False),
        sa.Column("webhook_secret", sa.Text(), nullable=False),
        sa.Column("former_secret", sa.Text(), nullable=False),
        sa.Column("secret_changed_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("owner", name="pk_notification_choice"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("way", _choice("way", "browser", "email", "webhook"), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("content", _JSON, nullable=False),
        sa.Column("state", _choice("deliverystate", "waiting", "sent", "failed"), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", _MOMENT, nullable=True),
        sa.Column("answer", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_delivery_owner_id", "delivery", ["owner", "id"])
    op.create_index("ix_delivery_created_at", "delivery", ["created_at"])
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_delivery_waiting", "delivery", ["way", "owner", "id"], sqlite_where=waiting, postgresql_where=waiting
    )

    op.create_table(
        "system_beat",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_system_beat"),
    )
    op.create_table(
        "retention_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_retention_rule"),
    )
    op.create_table(
        "retention_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("before", _MOMENT, nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", _MOMENT, nullable=False),
        sa.Column("started_at", _MOMENT, nullable=True),
        sa.Column("finished_at", _MOMENT, nullable=True),
        sa.Column("takes", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_retention_run"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_retention_run_finished_at", "retention_run", ["finished_at"])

    op.add_column("worker", sa.Column("problem", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Remove them; nobody is told of anything any more."""
    with op.batch_alter_table("worker") as table:
        table.drop_column("problem")
    for name in ("retention_run", "retention_rule", "system_beat", "delivery", "notification_choice"):
        op.drop_table(name)
