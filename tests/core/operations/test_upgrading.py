"""A database of the first revision, full of rows, becomes one of the newest, and nothing is lost on the way."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, Table, insert, select, text, types
from sqlalchemy.exc import OperationalError

from core.artifacts import ArtifactStore
from core.errors import CadenzaError
from core.operations.restore import restore_backup
from core.operations.upgrading import upgrade_with_copy
from core.records import schema
from core.records.database import Database

_ROWS = 7
# Values that a check allows, where any text will not do.
_CHOICES = {
    "kind": "training",
    "state": "waiting",
    "queue": "light",
    "split": "train",
}
_STATES = {"job": "running", "worker": "ready", "unit": "running"}


@pytest.fixture
def old(bare_database: Database) -> Database:
    """A database of revision 0001 with rows in every table."""
    schema.upgrade(bare_database, "0001")
    with bare_database.engine.begin() as connection:
        for table in tables(connection):
            connection.execute(insert(table), [row(table, number) for number in range(1, _ROWS + 1)])
            if bare_database.is_sqlite or "id" not in table.columns:
                continue
            connection.execute(text(f"SELECT setval(pg_get_serial_sequence('\"{table.name}\"', 'id'), {_ROWS})"))
    return bare_database


def tables(connection: Connection) -> list[Table]:
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != "alembic_version"]


def row(table: Table, number: int) -> dict[str, Any]:
    """A row whose every column tells which it is; what points elsewhere points at the row of the same number."""
    values: dict[str, Any] = {}
    for column in table.columns:
        kind = column.type
        if column.name in _CHOICES and isinstance(kind, types.String):
            values[column.name] = (
                _STATES.get(table.name, "running") if column.name == "state" else _CHOICES[column.name]
            )
        elif isinstance(kind, types.Boolean):
            values[column.name] = bool(number % 2)
        elif isinstance(kind, types.Integer | types.Numeric | types.Float):
            values[column.name] = number
        elif isinstance(kind, types.DateTime):
            values[column.name] = datetime(2026, 1, number, 12, 30, tzinfo=UTC)
        elif isinstance(kind, types.JSON):
            values[column.name] = ["light"] if column.name == "queues" else {"number": number}
        else:
            values[column.name] = f"{table.name}/{column.name} {number}"
    return values


def content(database: Database, like: dict[str, list[dict[str, Any]]] | None = None) -> dict[str, list[dict[str, Any]]]:
    """All rows; only the tables and columns of `like`, when it is given."""
    with database.engine.connect() as connection:
        found = {}
        for table in tables(connection):
            rows = [dict(each) for each in connection.execute(select(table).order_by(*table.primary_key)).mappings()]
            if like is None:
                found[table.name] = rows
            elif table.name in like:
                found[table.name] = [{name: each[name] for name in like[table.name][0]} for each in rows]
        return found


def test_everything_is_still_there_after_an_upgrade(old: Database, tmp_path: Path) -> None:
    before = content(old)
    assert {len(rows) for rows in before.values()} == {_ROWS}
    # A later revision has it the other way round: each model names its training.
    named = {each.pop("model_id"): each["id"] for each in before["training"]}
    said: list[str] = []
    assert upgrade_with_copy(old, tmp_path / "backups", said.append) == schema.newest()
    assert content(old, like=before) == before
    assert {each["id"]: each["training_id"] for each in content(old)["model"]} == named
    schema.require_current(old)
    assert len(said) == 2
    (copy,) = (tmp_path / "backups").iterdir()
    assert copy.name.startswith("before-upgrade-0001-")

    # The copy puts the rows of before back, and they are upgraded once more.
    with old.engine.begin() as connection:
        connection.execute(text("DELETE FROM take"))
    store = ArtifactStore((tmp_path / "artifacts").as_uri())
    store.write("kept/file", b"x")
    restore_backup(old, store, copy, replace=True, watch_seconds=0)
    for each in before["worker"]:
        each |= {"state": "gone", "unit_id": None}
    assert content(old, like=before) == before
    assert {each["id"]: each["training_id"] for each in content(old)["model"]} == named
    assert store.exists("kept/file")
    assert upgrade_with_copy(old, tmp_path / "backups") == schema.newest()
    assert len(list((tmp_path / "backups").iterdir())) == 1


def test_only_the_newest_copies_are_kept(old: Database, tmp_path: Path) -> None:
    for number in range(5):
        folder = tmp_path / f"before-upgrade-0000-2020010{number}-000000"
        folder.mkdir()
    upgrade_with_copy(old, tmp_path)
    assert len(list(tmp_path.glob("before-upgrade-*"))) == 3


def test_a_copy_that_cannot_be_made_stops_the_upgrade(old: Database, tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("a file, no folder")
    with pytest.raises(CadenzaError, match="backups"):
        upgrade_with_copy(old, tmp_path / "backups")
    assert schema.current(old) == "0001"


def test_a_part_waits_for_the_upgrade_and_then_goes_on(old: Database) -> None:
    said: list[str] = []
    waiting = threading.Event()

    def tell(line: str) -> None:
        said.append(line)
        waiting.set()

    part = threading.Thread(target=lambda: schema.wait_until_current(old, 300, tell, pause_seconds=0.05))
    part.start()
    assert waiting.wait(60)
    assert "0001" in said[0]
    schema.upgrade(old)
    part.join(60)
    assert not part.is_alive()
    assert len(said) == 1


def test_a_part_does_not_wait_for_ever_nor_for_older_tables(old: Database) -> None:
    with pytest.raises(CadenzaError, match="revision 0001, but this program needs"):
        schema.wait_until_current(old, 0.2, lambda _: None, pause_seconds=0.05)
    with old.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CadenzaError, match="9999"):
        schema.wait_until_current(old, 1e9, lambda _: None)


def test_a_part_waits_for_a_database_that_is_away() -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/nothing")
    said: list[str] = []
    # The first try of a process loads the driver, which on a busy machine takes longer than the patience below.
    with pytest.raises(OperationalError):
        schema.require_current(away)
    with pytest.raises(CadenzaError, match="does not answer"):
        schema.wait_until_current(away, 2, said.append, pause_seconds=0.05)
    assert len(said) == 1
    away.dispose()
