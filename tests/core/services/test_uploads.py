from __future__ import annotations

import hashlib
import io
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from core.artifacts import ArtifactStore
from core.datasets.settings import ImportSettings
from core.errors import InputError, NotFoundError
from core.models.base import utc_now
from core.models.jobs import Job, JobState
from core.models.uploads import Upload
from core.records.database import Database
from core.services.datasets import create_import
from core.services.uploads import delete_stale, delete_uploads, get_upload, save_upload


def save(database: Database, store: ArtifactStore, data: bytes = b"MThd", limit_bytes: int = 10_000_000) -> Upload:
    return save_upload(database, store, io.BytesIO(data), "Sonate\0/№1.mid", "ann", limit_bytes)


def count(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Upload)) or 0


def test_an_upload_is_stored_with_size_and_digest(database: Database, store: ArtifactStore) -> None:
    data = bytes(range(256)) * 20_000
    upload = save(database, store, data)
    with database.reading() as session:
        found = get_upload(session, upload.id)
    assert store.read(found.key) == data
    assert (found.size_bytes, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (found.owner, found.file_name) == ("ann", "Sonate/№1.mid")
    with database.reading() as session, pytest.raises(NotFoundError, match="no uploaded file 999"):
        get_upload(session, 999)


class Counting(io.BytesIO):
    given = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.given += len(data)
        return data


def test_what_is_too_long_is_not_read_to_its_end(database: Database, store: ArtifactStore) -> None:
    stream = Counting(bytes(20 * 2**20))
    with pytest.raises(InputError, match=r"'big\.zip' is longer than 1,000,000 bytes \(0\.9537 MiB\)") as caught:
        save_upload(database, store, stream, "big.zip", "ann", 1_000_000)
    assert caught.value.problems[0].field == "files"
    assert stream.given <= 3 * 2**20
    assert count(database) == 0
    assert store.children("uploads") == []
    assert save(database, store, bytes(1000), limit_bytes=1000).size_bytes == 1000


def test_an_empty_file_is_refused(database: Database, store: ArtifactStore) -> None:
    with pytest.raises(InputError, match="is empty"):
        save(database, store, b"")
    assert count(database) == 0


class Dropped(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        raise ConnectionResetError("the sender went away")


def test_a_sender_that_goes_away_leaves_nothing(database: Database, store: ArtifactStore) -> None:
    with pytest.raises(Exception, match="the sender went away"):
        save_upload(database, store, Dropped(), "a.mid", "ann", 100)  # type: ignore[arg-type]  # as a broken stream is
    assert count(database) == 0
    assert store.children("uploads") == []


def test_an_upload_that_is_still_arriving_cannot_be_imported(database: Database, store: ArtifactStore) -> None:
    with database.transaction() as session:
        upload = Upload(owner="ann", file_name="a", key="uploads/a", size_bytes=0, sha256="")
        session.add(upload)
    settings = ImportSettings.parse({"source": "upload", "uploads": [upload.id]})
    with pytest.raises(InputError, match=f"no uploaded file {upload.id}"), database.transaction() as session:
        create_import(session, settings)


def make_old(database: Database, upload_id: int) -> None:
    with database.transaction() as session:
        session.get_one(Upload, upload_id).created_at = utc_now() - timedelta(hours=25)


def test_old_uploads_are_deleted_unless_an_import_waits_for_them(database: Database, store: ArtifactStore) -> None:
    new, old, awaited, dead = (save(database, store, bytes([n])) for n in range(1, 5))
    with database.transaction() as session:
        dataset = create_import(session, ImportSettings.parse({"source": "upload", "uploads": [awaited.id]}))
        session.get_one(Upload, dead.id).sha256 = ""  # its sender went away with the web process
    for upload in (old, awaited, dead):
        make_old(database, upload.id)
    store.write("uploads/orphan", b"a file without a row")
    assert delete_stale(database, store) == 2
    assert store.children("uploads") == sorted([new.key, awaited.key])
    assert delete_uploads(database, store, [awaited.id]) == 0
    with database.transaction() as session:
        session.get_one(Job, dataset.job_id).state = JobState.FAILED
    assert delete_stale(database, store) == 1
    assert delete_uploads(database, store, [new.id, 999]) == 1
    assert store.children("uploads") == []
    assert count(database) == 0
