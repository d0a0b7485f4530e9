"""The rows of all tables as text, the same from SQLite and PostgreSQL: one JSON object a line.

Tables are read as the database has them, not as this program's classes say, so that rows of an older revision can be
put back where they fit and migrated afterwards.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, DateTime, MetaData, String, Table, create_engine, insert, select, text
from sqlalchemy.types import JSON

from core.errors import CadenzaError
from core.records.database import Database

_BATCH = 2000
_REVISION_TABLE = "alembic_version"
# Columns that name stored files are called like this; every key of a file has a folder.
_KEY_NAME = re.compile(r"(?:.+_)?key")


@dataclass(slots=True)
class Dump:
    """What was written: rows by table, the last id that each table gave out, and every key of a stored file."""

    revision: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    last_ids: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)


def dump_tables(database: Database, folder: Path) -> Dump:
    """Write every table into `folder` as `<table>.jsonl.gz`, all of one moment."""
    for old in folder.iterdir():
        old.unlink()
    dump = Dump()
    with _one_moment(database) as connection:
        dump.revision = str(connection.scalar(text(f"SELECT version_num FROM {_REVISION_TABLE}")) or "")  # noqa: S608  # a constant
        for table in _tables(connection):
            _dump_table(connection, table, folder / f"{table.name}.jsonl.gz", dump)
    return dump


def load_tables(connection: Connection, folder: Path, last_ids: dict[str, int]) -> dict[str, int]:
    """Put the rows of a dump into empty tables of the same revision; how many by table.

    Raises:
        CadenzaError: a row does not fit.
    """
    counts: dict[str, int] = {}
    for table in _tables(connection):
        path = folder / f"{table.name}.jsonl.gz"
        counts[table.name] = _load_table(connection, table, path) if path.exists() else 0
        _set_last_id(connection, table, last_ids.get(table.name, 0))
    return counts


def count_filled_tables(connection: Connection) -> int:
    """How many tables hold a row."""
    return sum(1 for table in _tables(connection) if connection.execute(select(1).select_from(table).limit(1)).first())


def empty_tables(connection: Connection) -> None:
    """Delete every row, those that point at others first."""
    for table in reversed(_tables(connection)):
        connection.execute(table.delete())


def _tables(connection: Connection) -> list[Table]:
    """All tables of Cadenza, those that others point at first."""
    metadata = MetaData()
    metadata.reflect(connection)
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type.none_as_null = True
    return [table for table in metadata.sorted_tables if table.name != _REVISION_TABLE]


@contextmanager
def _one_moment(database: Database) -> Iterator[Connection]:
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            yield connection
        return
    with tempfile.TemporaryDirectory(prefix="cadenza-backup-") as folder:
        path = Path(folder) / "copy.sqlite"
        copy_sqlite(database, path)
        engine = create_engine(f"sqlite:///{path}")
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()


def copy_sqlite(database: Database, path: Path) -> None:
    """Copy a SQLite database to `path` by its own backup interface, while others write to it, and check the copy.

    Raises:
        CadenzaError: the copy is damaged, and so the database most likely is.
    """
    with database.engine.connect() as connection:
        source = connection.connection.driver_connection
        target = sqlite3.connect(path)
        try:
            assert isinstance(source, sqlite3.Connection)
            source.backup(target)
            (answer,) = target.execute("PRAGMA integrity_check").fetchone()
        finally:
            target.close()
    if answer != "ok":
        raise CadenzaError(f"The database is damaged ({answer}). Restore a backup: 'cadenza restore'.")


def _dump_table(connection: Connection, table: Table, path: Path, dump: Dump) -> None:
    keys = [column.name for column in table.columns if _KEY_NAME.fullmatch(column.name) and _is_text(column)]
    statement = select(table).order_by(*table.primary_key.columns)
    rows = connection.execute(statement.execution_options(yield_per=_BATCH)).mappings()
    count = 0
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=3) as stream:
        for row in rows:
            count += 1
            dump.keys.update(row[name] for name in keys if row[name] and "/" in row[name])
            stream.write(json.dumps({name: _plain(value) for name, value in row.items()}, ensure_ascii=False))
            stream.write("\n")
    dump.rows[table.name] = count
    dump.last_ids[table.name] = _last_id(connection, table)


def _load_table(connection: Connection, table: Table, path: Path) -> int:
    count = 0
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for batch in _batches(stream, table, connection.dialect.name == "sqlite"):
            connection.execute(insert(table), batch)
            count += len(batch)
    return count


def _batches(lines: Iterable[str], table: Table, naive: bool) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for line in lines:
        values = json.loads(line)
        unknown = values.keys() - {column.name for column in table.columns}
        if unknown:
            raise CadenzaError(f"The table {table.name} has no column {min(unknown)!r}; this backup does not fit.")
        batch.append({column.name: _typed(values[column.name], column, naive) for column in table.columns})
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _plain(value: Any) -> Any:
    """A value of a row as JSON can say it; moments without a zone are UTC."""
    if isinstance(value, datetime):
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return {"base64": base64.b64encode(bytes(value)).decode()}
    return float(value) if isinstance(value, Decimal) else value


def _typed(value: Any, column: Column[Any], naive: bool) -> Any:
    if isinstance(column.type, DateTime) and isinstance(value, str):
        moment = datetime.fromisoformat(value).astimezone(UTC)
        return moment.replace(tzinfo=None) if naive else moment
    if isinstance(value, dict) and set(value) == {"base64"} and not isinstance(column.type, JSON):
        return base64.b64decode(value["base64"])
    return value


def _is_text(column: Column[Any]) -> bool:
    return isinstance(column.type, String)


def _last_id(connection: Connection, table: Table) -> int:
    """The last id that was given out, also when its row is gone: a number never comes twice."""
    if "id" not in table.columns:
        return 0
    if connection.dialect.name == "sqlite":
        found = connection.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        return int(found or 0)
    sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": f'"{table.name}"'})
    if sequence is None:
        return 0
    found = connection.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()  # noqa: S608  # the database's own name
    return int(found.last_value) if found.is_called else 0


def _set_last_id(connection: Connection, table: Table, last_id: int) -> None:
    if not last_id:
        return
    if connection.dialect.name == "sqlite":
        named = {"name": table.name, "last": last_id}
        changed = connection.execute(text("UPDATE sqlite_sequence SET seq = :last WHERE name = :name"), named)
        if not changed.rowcount:
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), named)
        return
    sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": f'"{table.name}"'})
    if sequence is not None:
        connection.execute(text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last_id})
