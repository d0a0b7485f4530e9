"""An index for the list of generations, which also answers how many takes there are."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_generation_purpose_id_takes_done", "generation", ["purpose", "id", "takes_done"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_generation_purpose_id_takes_done", "generation")
