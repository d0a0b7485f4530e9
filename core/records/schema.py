"""The tables' version: from empty to the newest and back, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from core.errors import CadenzaError
from core.records.database import Database

# Apart from the lock of claims: a migration may take long.
_MIGRATION_LOCK = 0x0CADE2B


def upgrade(database: Database, revision: str = "head") -> str:
    """Bring the tables to `revision`; several processes may do so at once. The revision that was reached.

    Raises:
        CadenzaError: the database is of a version that this program does not know.
    """
    with _alone(database) as connection:
        _run(lambda config: command.upgrade(config, revision), connection)
        return _revision_of(connection)


def downgrade(database: Database, revision: str) -> str:
    """Take the tables back to `revision`, or to nothing with "base"; what later tables held is lost.

    Raises:
        CadenzaError: there is no such revision below the present one.
    """
    with _alone(database) as connection:
        _run(lambda config: command.downgrade(config, revision), connection)
        return _revision_of(connection)


def current(database: Database) -> str:
    """The revision of the tables; empty when there are none."""
    with database.engine.connect() as connection:
        return _revision_of(connection)


@cache
def newest() -> str:
    """The revision that this program works with."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def require_current(database: Database) -> None:
    """Refuse to work on tables of another version.

    Raises:
        CadenzaError: the tables are older, newer or missing.
    """
    found = current(database)
    if found != newest():
        raise CadenzaError(
            f"The database's tables are of revision {found or 'none'}, but this program needs {newest()}. "
            "Run 'cadenza db upgrade', or the newer Cadenza that made them."
        )


def wait_until_current(
    database: Database, patience_seconds: float, tell: Callable[[str], object], pause_seconds: float = 1.0
) -> None:
    """Wait while the database is away or its tables are older: somebody is most likely starting or upgrading it.

    Raises:
        CadenzaError: the tables are newer than this program, or were still not there after the patience.
    """
    deadline = time.monotonic() + patience_seconds
    told = ""
    while True:
        try:
            require_current(database)
        except CadenzaError as error:
            trouble, final = error, not is_known(current(database))
        except OperationalError as error:
            trouble, final = CadenzaError(f"The database does not answer: {error.orig}".strip()), False
        else:
            return
        if final or time.monotonic() > deadline:
            raise trouble
        if str(trouble) != told:
            told = str(trouble)
            tell(f"{told} Waiting up to {patience_seconds:.0f} s for that.")
        time.sleep(pause_seconds)


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
    with _alone(database) as connection:
        if _revision_of(connection):
            clear(connection)
            _run(lambda config: command.downgrade(config, "base"), connection)
        _run(lambda config: command.upgrade(config, revision), connection)
        yield connection
        _run(lambda config: command.upgrade(config, "head"), connection)
        if database.is_sqlite and connection.execute(text("PRAGMA foreign_key_check")).first() is not None:
            raise CadenzaError("The rows do not belong together: one points at another that is not there.")


def is_known(revision: str) -> bool:
    """Whether this program can migrate from `revision`; an empty one are no tables yet."""
    try:
        return not revision or ScriptDirectory.from_config(_config()).get_revision(revision) is not None
    except CommandError:
        return False


def _config() -> Config:
    package = find_spec("migrations")
    if package is None or package.origin is None:
        raise CadenzaError("The package 'migrations' is missing; install Cadenza again.")
    config = Config()
    config.set_main_option("script_location", str(Path(package.origin).parent).replace("%", "%%"))
    return config


def _run(work: Callable[[Config], object], connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    try:
        work(config)
    except CommandError as error:
        raise CadenzaError(
            f"The tables cannot be migrated: {error}. Was this database made by a newer Cadenza? Install that one."
        ) from error


def _revision_of(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
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
