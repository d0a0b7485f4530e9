"""Backups of a running installation, and what becomes of them."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text, update

from core.artifacts import ArtifactStore
from core.errors import CadenzaError, ConflictError
from core.models.generations import Generation, Take
from core.models.jobs import Job
from core.models.workers import Worker, WorkerState
from core.operations.backup import check_backup, copy_rows, make_backup
from core.operations.restore import is_empty, restore_backup
from core.operations.rows import _tables
from core.records import schema
from core.records.database import Database
from tests.tools.web_content import WebContent


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Another database, empty, of either kind."""
    url = f"sqlite:///{tmp_path / 'target.sqlite'}" if request.param == "sqlite" else None
    database = Database(url or request.getfixturevalue("postgres_url"))
    yield database
    database.dispose()


@pytest.fixture
def other_store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore((tmp_path / "other artifacts").as_uri())


def rows_of(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table as this program's classes read it."""
    from core.models.tables import Base

    with database.reading() as session:
        return {
            table.name: [
                dict(row) for row in session.execute(select(table).order_by(*table.primary_key.columns)).mappings()
            ]
            for table in Base.metadata.sorted_tables
        }


def files_of(store: ArtifactStore) -> dict[str, bytes]:
    return {key: store.read(key) for key in store.files()}


def test_everything_comes_back_on_either_database(
    content: WebContent, target: Database, other_store: ArtifactStore, tmp_path: Path
) -> None:
    before = rows_of(content.database)
    content.store.write("audio/cache.mp3", b"made again when it is asked for")
    manifest = make_backup(content.database, content.store, tmp_path / "b")
    assert manifest.rows == {name: len(rows) for name, rows in before.items()}
    assert manifest.missing == []
    other_store.write("left/over", b"x")

    done = restore_backup(target, other_store, tmp_path / "b")
    after = rows_of(target)
    assert {row["state"] for row in after["worker"]} == {WorkerState.GONE}
    for rows in (before["worker"], after["worker"]):
        for row in rows:
            row["state"] = row["unit_id"] = None
    assert after == before
    assert len(before["take"]) == 8
    assert done.rows == manifest.rows
    copied = files_of(content.store)
    del copied["audio/cache.mp3"]
    assert files_of(other_store) == copied
    assert done.deleted == 1


def test_a_number_never_comes_twice(content: WebContent, target: Database, other_store: ArtifactStore, tmp_path: Path):
    """Also not that of a row which was deleted before the backup."""
    with content.database.transaction() as session:
        last = Job(kind="import", title="last", queue="light", request={})
        session.add(last)
        session.flush()
        session.delete(last)
    make_backup(content.database, content.store, tmp_path / "b")
    restore_backup(target, other_store, tmp_path / "b")
    with target.transaction() as session:
        job = Job(kind="import", title="next", queue="light", request={})
        session.add(job)
        session.flush()
        assert job.id == last.id + 1


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)
def test_a_backup_beside_people_who_make_and_delete(content: WebContent, tmp_path: Path, target: Database, other_store):
    """Whatever happens meanwhile, every row of the backup has its file, and rows belong together."""
    ended = threading.Event()
    failures: list[BaseException] = []
    model = 1

    def work() -> None:
        try:
            while not ended.is_set():
                made = content.generation(model, "0-3")
                with content.database.transaction() as session:
                    keys = list(session.scalars(select(Take.midi_key).where(Take.generation_id == made)))
                    session.execute(delete(Take).where(Take.generation_id == made))
                    session.execute(delete(Generation).where(Generation.id == made))
                for key in keys:
                    content.store.delete(key)
        except BaseException as error:  # noqa: BLE001  # told below
            failures.append(error)

    people = [threading.Thread(target=work) for _ in range(2)]
    for person in people:
        person.start()
    try:
        manifests = [make_backup(content.database, content.store, tmp_path / f"b{number}") for number in range(2)]
    finally:
        ended.set()
        for person in people:
            person.join()
    assert failures == []
    for number, manifest in enumerate(manifests):
        assert manifest.missing == []
        restore_backup(target, other_store, tmp_path / f"b{number}", replace=True, watch_seconds=0)
        with target.reading() as session:
            keys = set(session.scalars(select(Take.midi_key)))
            counts = session.execute(
                select(Generation.takes_done, func.count(Take.id)).join(Take).group_by(Generation.id)
            ).all()
        assert {key for key in other_store.files() if key.startswith("generations/")} == keys
        assert all(done == count for done, count in counts)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("hurt", "said"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "no manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "tables" / "take.jsonl.gz").unlink(), "take.jsonl.gz cannot be read"),
        (lambda folder: _flip(next((folder / "files").rglob("*.mid"))), r"\.mid holds"),
        (lambda folder: _flip(folder / "tables" / "job.jsonl.gz"), "job.jsonl.gz holds"),
    ],
)
def test_a_damaged_backup_changes_nothing(content: WebContent, tmp_path: Path, other_store, hurt: Callable, said: str):
    make_backup(content.database, content.store, tmp_path / "b")
    hurt(tmp_path / "b")
    empty = Database(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    with pytest.raises(CadenzaError, match=said):
        restore_backup(empty, other_store, tmp_path / "b")
    assert is_empty(empty)
    assert other_store.files() == []
    empty.dispose()


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_what_is_there_is_replaced_only_on_request_and_never_under_a_worker(content: WebContent, tmp_path: Path):
    make_backup(content.database, content.store, tmp_path / "b")
    before = rows_of(content.database)
    with pytest.raises(ConflictError, match="not empty"):
        restore_backup(content.database, content.store, tmp_path / "b")

    alive = threading.Event()

    def beat() -> None:
        while not alive.wait(0.05):
            with content.database.transaction() as session:
                session.execute(update(Worker).values(beat=Worker.beat + 1))

    worker = threading.Thread(target=beat)
    worker.start()
    try:
        with pytest.raises(ConflictError, match="'w' is running"):
            restore_backup(content.database, content.store, tmp_path / "b", replace=True)
    finally:
        alive.set()
        worker.join()
    content.generation(1, "20-29")
    restore_backup(content.database, content.store, tmp_path / "b", replace=True, watch_seconds=0.5)
    after = rows_of(content.database)
    assert after["take"] == before["take"]
    assert {key for key in content.store.files() if key.startswith("generations/")} == {
        row["midi_key"] for row in before["take"]
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_restore_that_dies_midway_can_be_done_again(content: WebContent, tmp_path: Path, other_store, monkeypatch):
    make_backup(content.database, content.store, tmp_path / "b")
    target = Database(f"sqlite:///{tmp_path / 'target.sqlite'}")
    with monkeypatch.context() as patch:
        patch.setattr("core.operations.restore.load_tables", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            restore_backup(target, other_store, tmp_path / "b")
    assert is_empty(target)
    restore_backup(target, other_store, tmp_path / "b")
    assert rows_of(target)["take"] == rows_of(content.database)["take"]
    target.dispose()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_was_lost_before_is_named(content: WebContent, tmp_path: Path) -> None:
    lost = next(key for key in content.store.files() if key.endswith(".mid") and "takes" in key)
    content.store.delete(lost)
    assert make_backup(content.database, content.store, tmp_path / "b").missing == [lost]
    with pytest.raises(CadenzaError, match="exists already"):
        make_backup(content.database, content.store, tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir() if ".part" in path.name] == []
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0


def test_a_copy_of_the_rows_alone_keeps_the_files(content: WebContent, tmp_path: Path) -> None:
    before, files = rows_of(content.database), files_of(content.store)
    assert copy_rows(content.database, tmp_path / "rows").rows_only
    with content.database.transaction() as session:
        session.execute(update(Take).values(note="changed"))
    restore_backup(content.database, content.store, tmp_path / "rows", replace=True, watch_seconds=0)
    assert rows_of(content.database)["take"] == before["take"]
    assert files_of(content.store) == files


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_backup_of_a_newer_program_is_refused(content: WebContent, tmp_path: Path, other_store) -> None:
    make_backup(content.database, content.store, tmp_path / "b")
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    (tmp_path / "b" / "manifest.json").write_text(json.dumps(manifest | {"revision": "9999"}))
    target = Database(f"sqlite:///{tmp_path / 'target.sqlite'}")
    with pytest.raises(CadenzaError, match="newer Cadenza"):
        restore_backup(target, other_store, tmp_path / "b")
    assert is_empty(target)
    target.dispose()


def test_a_full_disk_leaves_no_half(content: WebContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.operations.backup._look", full)
    with pytest.raises(CadenzaError, match="No space left"):
        make_backup(content.database, content.store, tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("b")) == []


def test_text_of_every_kind_survives(content: WebContent, target: Database, other_store, tmp_path: Path) -> None:
    words = 'ünïcode \u2028 "quotes" \\ \n tab\t 🎹 null'
    with content.database.transaction() as session:
        session.execute(update(Take).values(note=words, measures={"a": [1.5, None, {"b": words}], "n": 2**53}))
    make_backup(content.database, content.store, tmp_path / "b")
    restore_backup(target, other_store, tmp_path / "b")
    with target.reading() as session:
        take = session.scalars(select(Take).limit(1)).one()
    assert take.note == words
    assert take.measures == {"a": [1.5, None, {"b": words}], "n": 2**53}


def test_the_check_reads_everything(content: WebContent, tmp_path: Path) -> None:
    manifest = make_backup(content.database, content.store, tmp_path / "b")
    shutil.move(tmp_path / "b", tmp_path / "elsewhere")
    assert check_backup(tmp_path / "elsewhere") == manifest
    assert manifest.revision == schema.newest()
    with content.database.engine.connect() as connection:
        assert set(manifest.rows) == {table.name for table in _tables(connection)}
        assert connection.scalar(text("SELECT count(*) FROM take")) == manifest.rows["take"]
