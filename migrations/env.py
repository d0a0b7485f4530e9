"""How Alembic runs: over a connection that it was given, or over the installation's own database."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from core.models.tables import Base
from core.records.database import Database
from core.records.schema import alone
from core.settings import Settings


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        # SQLite cannot alter much in place: tables are copied. Its DDL is transactional, which Alembic does not assume.
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_given = context.config.attributes.get("connection")
if _given is not None:
    _migrate(_given)
else:
    with alone(Database.of(Settings())) as _own:
        _migrate(_own)
