"""Revision 0009: models of an older database learn what made them, on both databases, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import MetaData, delete, insert, text

from core.records import schema
from core.records.database import Database
from tests.core.operations.test_upgrading import content, row

_FINAL, _KEPT, _COPY, _STRANGE, _ORPHAN, _DELETED = 2, 1, 3, 4, 5, 9


@pytest.fixture
def before(bare_database: Database) -> Database:
    """Revision 0008: a training whose best was kept before its end, a copy, a stranger, one whose dataset is gone."""
    schema.upgrade(bare_database, "0008")
    add(bare_database, "job", 1)
    for number in (1, 2):
        add(bare_database, "dataset", number, job_id=1, content_hash=f"music {number}")
    trained = {"origin": "trained", "dataset_name": "Mine"}
    add(bare_database, "model", _KEPT, content_hash="early", **trained)
    add(bare_database, "model", _FINAL, content_hash="late", **trained)
    add(bare_database, "model", _COPY, content_hash="late", origin="uploaded", dataset_name="")
    add(bare_database, "model", _STRANGE, content_hash="strange", origin="uploaded", dataset_name="")
    add(bare_database, "model", _ORPHAN, content_hash="orphan", **trained)
    add(bare_database, "model", _DELETED, content_hash="late", **trained)
    add(bare_database, "training", 1, job_id=1, dataset_id=1, model_id=_FINAL)
    add(bare_database, "training", 2, job_id=1, dataset_id=2, model_id=None)
    add(bare_database, "training", 3, job_id=1, dataset_id=None, model_id=_ORPHAN)
    add(bare_database, "training", 8, job_id=1, dataset_id=2, model_id=None)
    for step in (10, 20):
        add(bare_database, "training_point", step, training_id=1)
    add(bare_database, "generation", 1, job_id=1, model_id=_FINAL)
    add(bare_database, "evaluation", 1, job_id=1, model_id=_FINAL, dataset_id=1, generation_id=1)
    for table, number in (("model", _DELETED), ("training", 8)):
        remove(bare_database, table, number)
    return bare_database


def add(database: Database, name: str, number: int, **values: Any) -> None:
    with database.engine.begin() as connection:
        table = MetaData()
        table.reflect(connection, only=[name], resolve_fks=False)
        found = {**row(table.tables[name], number), **values}
        connection.execute(insert(table.tables[name]), [found])
        if not database.is_sqlite and "id" in found:
            connection.execute(text(f"SELECT setval(pg_get_serial_sequence('\"{name}\"', 'id'), {number})"))


def remove(database: Database, name: str, number: int) -> None:
    with database.engine.begin() as connection:
        table = MetaData()
        table.reflect(connection, only=[name], resolve_fks=False)
        connection.execute(delete(table.tables[name]).where(table.tables[name].c.id == number))


def next_number(database: Database, name: str) -> int:
    """The number that the next row gets."""
    with database.engine.begin() as connection:
        table = MetaData()
        table.reflect(connection, only=[name], resolve_fks=False)
        values = row(table.tables[name], 1)
        del values["id"]
        (number,) = connection.execute(insert(table.tables[name]).values(**values)).inserted_primary_key
    return int(number)


def test_models_learn_from_their_trainings_what_made_them(before: Database) -> None:
    old = content(before)
    assert schema.upgrade(before, "0009") == "0009"
    models = {each["id"]: each for each in content(before)["model"]}
    facts = ("training_id", "dataset_id", "dataset_hash", "dataset_name")
    assert {number: tuple(each[name] for name in facts) for number, each in models.items()} == {
        _KEPT: (None, None, "", "Mine"),  # nothing in the older tables tells whose it was
        _FINAL: (1, 1, "music 1", "Mine"),
        _COPY: (1, 1, "music 1", "Mine"),
        _STRANGE: (None, None, "", ""),
        _ORPHAN: (3, None, "", "Mine"),
    }
    # Copying a table in SQLite must take nothing along that points at it.
    for each in old["training"]:
        del each["model_id"]
    old["model"][_COPY - 1]["dataset_name"] = "Mine"
    assert content(before, like=old) == old
    assert [next_number(before, name) for name in ("model", "training")] == [_DELETED + 1, 9]


def test_on_the_way_back_each_training_names_its_newest_model(before: Database) -> None:
    old = content(before)
    schema.upgrade(before, "0009")
    add(before, "model", 12, origin="trained", content_hash="x", training_id=1, dataset_id=1)
    add(before, "model", 13, origin="uploaded", content_hash="x", training_id=1, dataset_id=1)
    assert schema.downgrade(before, "0008") == "0008"
    named = {each["id"]: each["model_id"] for each in content(before)["training"]}
    assert named == {1: 12, 2: None, 3: _ORPHAN}
    for name in ("training_point", "evaluation", "generation"):
        assert content(before)[name] == old[name]
    assert [next_number(before, name) for name in ("model", "training")] == [14, 9]
    assert schema.upgrade(before, "0009") == "0009"
    assert {each["id"]: each["training_id"] for each in content(before)["model"]}[13] == 1
