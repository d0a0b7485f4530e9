"""The tables' version: from empty to the newest and back, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from sqlalchemy import Connection, text

from core.errors import CadenzaError
from core.records.database import Database
from core.records.revisions import (
    current,
    is_known,
    migrations_folder,
    newest,
    require_current,
    revision_of,
    wait_until_current,
)

__all__ = [
    "alone",
    "current",
    "downgrade",
    "is_known",
    "newest",
    "rebuilding",
    "require_current",
    "upgrade",
    "wait_until_current",
]

# Apart from the lock of claims: a migration may take long.
_MIGRATION_LOCK = 0x0CADE2B


def upgrade(database: Database, revision: str = "head") -> str:
    """Bring the tables to `revision`; several processes may do so at once. The revision that was reached.

    Raises:
        CadenzaError: the database is of a version that this program does not know.
    """
    if revision == "head" and current(database) == newest():
        return newest()
    with alone(database) as connection:
        _migrate("upgrade", revision, connection)
        return revision_of(connection)


def downgrade(database: Database, revision: str) -> str:
    """Take the tables back to `revision`, or to nothing with "base"; what later tables held is lost.

    Raises:
        CadenzaError: there is no such revision below the present one.
    """
    with alone(database) as connection:
        _migrate("downgrade", revision, connection)
        return revision_of(connection)


@contextmanager
def rebuilding(database: Database, revision: str, clear: Callable[[Connection], None]) -> Iterator[Connection]:
    """Empty tables of `revision`, to be filled in this block, and migrated to the newest at its end; all or nothing.

    Args:
        database: the database whose tables are made anew.
        revision: the revision of the rows that will be put in.
        clear: deletes every row of the present tables.

    Raises:
        CadenzaError: one of the revisions is not known to this program.
    """
    with alone(database) as connection:
        if revision_of(connection):
            clear(connection)
            _migrate("downgrade", "base", connection)
        _migrate("upgrade", revision, connection)
        yield connection
        _migrate("upgrade", "head", connection)
        if database.is_sqlite and connection.execute(text("PRAGMA foreign_key_check")).first() is not None:
            raise CadenzaError("The rows do not belong together: one points at another that is not there.")


def _migrate(direction: Literal["upgrade", "downgrade"], revision: str, connection: Connection) -> None:
    # Alembic takes a good part of a second to load, and most starts find their tables as they should be.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        {"upgrade": command.upgrade, "downgrade": command.downgrade}[direction](config, revision)
    except CommandError as error:
        raise CadenzaError(
            f"The tables cannot be migrated: {error}. Was this database made by a newer Cadenza? Install that one."
        ) from error


@contextmanager
def alone(database: Database) -> Iterator[Connection]:
    """A connection in one transaction that no other migration shares; everything in it happens or nothing does."""
    with database.engine.connect() as connection:
        if not database.is_sqlite:
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
                yield connection
            return
        # Copying a table drops the old one, and its rows' dependants with it unless keys are off; this needs to
        # happen outside of a transaction, so below SQLAlchemy's own handling of them.
        raw = connection.connection.dbapi_connection
        if raw is None:
            raise CadenzaError("The database's connection was lost; try again.")
        raw.cursor().execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.execution_options(cadenza_immediate=True).begin():
                yield connection
        finally:
            raw.cursor().execute("PRAGMA foreign_keys=ON")
