"""What made a model is said by the model itself; a training named one model only, and so forgot those kept before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# The newest model of the same content whose training is known.
_SAME = "FROM model AS same WHERE same.content_hash = model.content_hash AND same.training_id IS NOT NULL"
_NEWEST_SAME = f"{_SAME} ORDER BY same.id DESC LIMIT 1"


@contextmanager
def _altering(name: str) -> Iterator[BatchOperations]:
    """Alter a table; SQLite copies it for that, and would begin to give out the numbers of deleted rows again."""
    connection = op.get_bind()
    last = None
    if connection.dialect.name == "sqlite":
        last = connection.scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": name})
    with op.batch_alter_table(name, table_kwargs={"sqlite_autoincrement": True}) as table:
        yield table
    if last is not None:
        named = {"name": name, "last": last}
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), named)
        connection.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), named)


def upgrade() -> None:
    """Add the columns, fill them from the trainings, and uploaded copies like the model that they are copies of."""
    with _altering("model") as table:
        table.add_column(sa.Column("training_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("dataset_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("dataset_hash", sa.Text(), nullable=False, server_default=""))
        table.create_foreign_key(
            "fk_model_training_id_training", "training", ["training_id"], ["id"], ondelete="SET NULL"
        )
        table.create_foreign_key("fk_model_dataset_id_dataset", "dataset", ["dataset_id"], ["id"], ondelete="SET NULL")
        table.create_index("ix_model_training_id", ["training_id"])
        table.create_index("ix_model_dataset_id", ["dataset_id"])
    op.execute("UPDATE model SET training_id = (SELECT max(id) FROM training WHERE training.model_id = model.id)")
    op.execute(
        f"UPDATE model SET dataset_name = (SELECT same.dataset_name {_NEWEST_SAME}) "  # noqa: S608  # constants
        f"WHERE training_id IS NULL AND dataset_name = '' AND EXISTS (SELECT 1 {_SAME})"
    )
    op.execute(f"UPDATE model SET training_id = (SELECT same.training_id {_NEWEST_SAME}) WHERE training_id IS NULL")  # noqa: S608  # constants
    op.execute(
        "UPDATE model SET dataset_id = (SELECT dataset_id FROM training WHERE training.id = model.training_id) "
        "WHERE training_id IS NOT NULL"
    )
    op.execute(
        "UPDATE model SET dataset_hash = (SELECT content_hash FROM dataset WHERE dataset.id = model.dataset_id) "
        "WHERE dataset_id IS NOT NULL"
    )
    with _altering("training") as table:
        table.drop_index("ix_training_model_id")
        table.drop_constraint("fk_training_model_id_model", type_="foreignkey")
        table.drop_column("model_id")


def downgrade() -> None:
    """Let each training name its newest model again."""
    with _altering("training") as table:
        table.add_column(sa.Column("model_id", sa.Integer(), nullable=True))
        table.create_foreign_key("fk_training_model_id_model", "model", ["model_id"], ["id"], ondelete="SET NULL")
        table.create_index("ix_training_model_id", ["model_id"])
    op.execute(
        "UPDATE training SET model_id = "
        "(SELECT max(id) FROM model WHERE model.training_id = training.id AND model.origin = 'trained')"
    )
    with _altering("model") as table:
        table.drop_index("ix_model_dataset_id")
        table.drop_index("ix_model_training_id")
        table.drop_constraint("fk_model_dataset_id_dataset", type_="foreignkey")
        table.drop_constraint("fk_model_training_id_training", type_="foreignkey")
        for column in ("dataset_hash", "dataset_id", "training_id"):
            table.drop_column(column)
