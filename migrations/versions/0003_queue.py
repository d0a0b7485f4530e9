"""The queue as people want it: own order, later starts, pauses of queues, limits of people, drained workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add columns with their defaults, and the tables for what administrators decide."""
    op.add_column("job", sa.Column("position", sa.Double(), nullable=False, server_default="0"))
    op.add_column("job", sa.Column("not_before", _MOMENT, nullable=True))
    op.execute("UPDATE job SET position = id")
    op.drop_index("ix_job_queue_state_priority_id", "job")
    op.create_index("ix_job_waiting", "job", ["queue", "state", "priority", "owner", "position", "id"])
    due = sa.text("not_before IS NOT NULL")
    op.create_index("ix_job_not_before", "job", ["not_before"], sqlite_where=due, postgresql_where=due)

    op.add_column("unit", sa.Column("yield_requested", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("unit", sa.Column("work", sa.Double(), nullable=False, server_default="1"))
    op.execute("UPDATE unit SET position = job_id WHERE state IN ('waiting', 'held', 'running')")

    op.add_column("owner_turn", sa.Column("blocked", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("worker", sa.Column("draining", sa.Boolean(), nullable=False, server_default=sa.false()))

    for table in ("generation", "model", "dataset"):
        op.add_column(table, sa.Column("stored_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE generation SET stored_bytes = "
        "coalesce((SELECT sum(midi_bytes) FROM take WHERE take.generation_id = generation.id), 0)"
    )
    op.create_index("ix_generation_owner", "generation", ["owner"])

    op.create_table(
        "queue_control",
        sa.Column(
            "queue",
            sa.Enum(
                "training",
                "generation",
                "light",
                name="queue",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("stop_running", sa.Boolean(), nullable=False),
        sa.Column("start_paused", sa.Boolean(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("queue", name="pk_queue_control"),
    )
    op.create_table(
        "person_limit",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("waiting_jobs", sa.Integer(), nullable=True),
        sa.Column("running_units", sa.Integer(), nullable=True),
        sa.Column("gpu_hours_week", sa.Double(), nullable=True),
        sa.Column("storage_bytes", sa.BigInteger(), nullable=True),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_person_limit"),
    )
    op.create_table(
        "usage_day",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("gpu_seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "day", name="pk_usage_day"),
    )


def downgrade() -> None:
    """Back to the first tables."""
    op.drop_table("usage_day")
    op.drop_table("person_limit")
    op.drop_table("queue_control")
    op.drop_index("ix_generation_owner", "generation")
    for table in ("dataset", "model", "generation"):
        op.drop_column(table, "stored_bytes")
    op.drop_column("worker", "draining")
    op.drop_column("owner_turn", "blocked")
    op.drop_column("unit", "work")
    op.drop_column("unit", "yield_requested")
    op.drop_index("ix_job_not_before", "job")
    op.drop_index("ix_job_waiting", "job")
    op.create_index("ix_job_queue_state_priority_id", "job", ["queue", "state", "priority", "id"])
    op.drop_column("job", "not_before")
    op.drop_column("job", "position")
