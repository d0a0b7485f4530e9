"""The migrations: from empty to head and back, and the same tables as the models say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

import migrations
from core.errors import CadenzaError
from core.models.tables import Base
from core.records import schema
from core.records.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'empty.sqlite'}" if request.param == "sqlite" else None
    database = Database(url or request.getfixturevalue("postgres_url"))
    yield database
    database.dispose()


def tables_of(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names()) - {"alembic_version"}


def test_there_is_a_single_head():
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.newest()]


def test_from_empty_to_head_and_back(empty: Database):
    assert schema.current(empty) == ""
    assert schema.upgrade(empty) == schema.newest() != ""
    assert tables_of(empty) == set(Base.metadata.tables)
    assert schema.current(empty) == schema.newest()
    assert schema.downgrade(empty, "base") == ""
    assert tables_of(empty) == set()
    assert schema.upgrade(empty) == schema.newest()


def test_the_migrated_tables_are_those_of_the_models(database: Database):
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_checks_and_keys_are_those_of_the_models(empty: Database):
    """Constraints that Alembic's comparison does not look at."""
    schema.upgrade(empty)
    migrated = {name: constraints_of(empty, name) for name in Base.metadata.tables}
    schema.downgrade(empty, "base")
    Base.metadata.create_all(empty.engine)
    assert migrated == {name: constraints_of(empty, name) for name in Base.metadata.tables}


def constraints_of(database: Database, table: str) -> dict[str, str]:
    found = inspect(database.engine)
    checks = {check["name"]: check["sqltext"] for check in found.get_check_constraints(table)}
    keys = {key["name"]: str(sorted(key.items(), key=str)) for key in found.get_foreign_keys(table)}
    return {**checks, **keys}


def test_eight_at_once_migrate_once(empty: Database):
    with ThreadPoolExecutor(8) as pool:
        reached = list(pool.map(lambda _: schema.upgrade(empty), range(8)))
    assert reached == [schema.newest()] * 8
    assert tables_of(empty) == set(Base.metadata.tables)


def test_a_migration_that_fails_leaves_nothing(empty: Database):
    with empty.engine.begin() as connection:
        connection.execute(text("CREATE TABLE take (id INTEGER)"))
    with pytest.raises(Exception, match="take"):
        schema.upgrade(empty)
    assert tables_of(empty) == {"take"}
    assert schema.current(empty) == ""


def test_tables_of_another_version_are_refused(empty: Database):
    with pytest.raises(CadenzaError, match="'cadenza db upgrade'"):
        schema.require_current(empty)
    schema.upgrade(empty)
    schema.require_current(empty)
    with empty.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CadenzaError, match="9999"):
        schema.require_current(empty)
    with pytest.raises(CadenzaError, match="newer Cadenza"):
        schema.upgrade(empty)


def test_foreign_keys_hold_after_a_migration(empty: Database):
    schema.upgrade(empty)
    with pytest.raises(Exception, match=r"(?i)foreign key"), empty.engine.begin() as connection:
        connection.execute(text("INSERT INTO job_log (job_id, at, level, message) VALUES (7, '2026-01-01', '', '')"))
