"""Which version the tables have and which this program needs; light, since every part asks when it starts."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from core.errors import CadenzaError
from core.records.database import Database


def current(database: Database) -> str:
    """The revision of the tables; empty when there are none."""
    with database.engine.connect() as connection:
        return revision_of(connection)


def revision_of(connection: Connection) -> str:
    """The revision that a connection's transaction sees; empty when there are no tables."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.scalar(text("SELECT version_num FROM alembic_version")) or ""


def newest() -> str:
    """The revision that this program works with: the one that no other follows.

    Read from the migrations' source, since Alembic takes a good part of a second to load.
    """
    followed = {name for _, before in _history() for name in before}
    heads = [revision for revision, _ in _history() if revision not in followed]
    return heads[0] if heads else ""


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


def is_known(revision: str) -> bool:
    """Whether this program can migrate from `revision`; an empty one are no tables yet."""
    return not revision or revision in dict(_history())


def migrations_folder() -> Path:
    """Where the migrations are installed.

    Raises:
        CadenzaError: they are not.
    """
    package = find_spec("migrations")
    if package is None or package.origin is None:
        raise CadenzaError("The package 'migrations' is missing; install Cadenza again.")
    return Path(package.origin).parent


@cache
def _history() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Every revision, and those that it follows."""
    return tuple(_names_in(path) for path in (migrations_folder() / "versions").glob("*.py"))


def _names_in(path: Path) -> tuple[str, tuple[str, ...]]:
    """A migration's revision, and those that it follows."""
    found: dict[str, object] = {}
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            if isinstance(target, ast.Name) and target.id in {"revision", "down_revision"} and statement.value:
                found[target.id] = ast.literal_eval(statement.value)
    before = found.get("down_revision")
    return str(found.get("revision", "")), before if isinstance(before, tuple) else (str(before),) if before else ()
