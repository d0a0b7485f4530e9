"""Uploads: files that a person sent, kept until what they were sent for has used them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import IO

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.datasets.names import clean_file_name
from core.errors import ConflictError, InputError, NotFoundError
from core.models.base import utc_now
from core.models.datasets import Dataset
from core.models.jobs import Job, JobState
from core.models.uploads import Upload
from core.people.audit import acting
from core.people.rights import Right
from core.records.database import Database

STALE_AFTER = timedelta(hours=24)
_BLOCK_BYTES = 1 << 20


def save_upload(
    database: Database, store: ArtifactStore, stream: IO[bytes], file_name: str, owner: str, limit_bytes: int
) -> Upload:
    """Store what `stream` brings, block by block.

    Args:
        stream: the file; read to its end, or until it is longer than `limit_bytes`.
        file_name: as the sender calls it; any text.
        owner: who sent it.
        limit_bytes: the largest size that is accepted.

    Raises:
        InputError: empty, or longer than allowed; names the field `files`.
        StorageError: it cannot be stored (disk full).
    """
    key = f"uploads/{secrets.token_hex(16)}"
    shown = clean_file_name(file_name)
    # The row comes first and gets its digest last: whatever dies in between, `delete_stale` finds the file by its row.
    with database.transaction() as session:
        upload = Upload(owner=owner, file_name=shown, key=key, size_bytes=0, sha256="")
        session.add(upload)
    try:
        size_bytes, sha256 = _copy(store, key, stream, shown, limit_bytes)
    except BaseException:
        _delete(database, store, [(upload.id, key)])
        raise
    with database.transaction() as session:
        values = {"size_bytes": size_bytes, "sha256": sha256}
        updated = session.scalar(update(Upload).where(Upload.id == upload.id).values(values).returning(Upload.id))
    if updated is None:
        store.delete(key)
        raise NotFoundError(f"The upload {shown!r} took too long and was given up; send it again.")
    upload.size_bytes, upload.sha256 = size_bytes, sha256
    return upload


def get_upload(session: Session, upload_id: int) -> Upload:
    """One stored upload.

    Raises:
        NotFoundError: there is none of this number (any more).
    """
    upload = session.get(Upload, upload_id)
    if upload is None or not upload.sha256:
        raise NotFoundError(f"There is no uploaded file {upload_id} (any more); upload it again.")
    return upload


def may_use(session: Session, upload: Upload) -> bool:
    """Whether the one who acts may use an upload: files that wait are their sender's alone."""
    actor = acting(session)
    return upload.owner == actor.name or actor.may(Right.CHANGE_OTHERS)


def check_room(database: Database, owner: str, most_files: int, most_bytes: int) -> None:
    """Refuse more uploads of one who has many that wait to be used.

    Raises:
        ConflictError: files or bytes are at their limit; says which.
    """
    with database.reading() as session:
        counted = select(func.count(Upload.id), func.coalesce(func.sum(Upload.size_bytes), 0))
        files, size_bytes = session.execute(counted.where(Upload.owner == owner)).one()
    if files >= most_files or size_bytes >= most_bytes:
        raise ConflictError(
            f"{files:,} uploaded files of yours ({size_bytes / 2**20:,.0f} MiB) wait to be used; allowed are "
            f"{most_files:,} ({most_bytes / 2**20:,.0f} MiB). Import them, or wait until they are removed after a day."
        )


def delete_uploads(database: Database, store: ArtifactStore, upload_ids: Iterable[int]) -> int:
    """Delete uploads that nothing needs any more; those that a waiting or running import uses stay.

    Returns:
        how many were deleted.
    """
    with database.reading() as session:
        needed = _needed(session)
        wanted = [upload_id for upload_id in upload_ids if upload_id not in needed]
        found = session.execute(select(Upload.id, Upload.key).where(Upload.id.in_(wanted))).all()
    return _delete(database, store, [(upload_id, key) for upload_id, key in found])


def delete_stale(database: Database, store: ArtifactStore, older_than: timedelta = STALE_AFTER) -> int:
    """Delete uploads that were sent longer ago than `older_than` and that no import waits for, and files without a row.

    Returns:
        how many uploads were deleted.
    """
    # Listed before the rows are read, and a row is always older than its file: no arriving upload is hit.
    files = store.children("uploads")
    with database.reading() as session:
        needed = _needed(session)
        rows = session.execute(select(Upload.id, Upload.key, Upload.created_at)).all()
    limit = utc_now() - older_than
    stale = [(row.id, row.key) for row in rows if row.created_at < limit and row.id not in needed]
    for key in set(files) - {row.key for row in rows}:
        store.delete(key)
    return _delete(database, store, stale)


def _copy(store: ArtifactStore, key: str, stream: IO[bytes], shown: str, limit_bytes: int) -> tuple[int, str]:
    digest = hashlib.sha256()
    size_bytes = 0
    with store.writer(key) as target:
        while block := stream.read(_BLOCK_BYTES):
            size_bytes += len(block)
            if size_bytes > limit_bytes:
                raise InputError.of(
                    "files",
                    f"files: {shown!r} is longer than {limit_bytes:,} bytes ({limit_bytes / 2**20:.4g} MiB), "
                    "the most that is accepted; send it in parts.",
                )
            digest.update(block)
            target.write(block)
        if size_bytes == 0:
            raise InputError.of("files", f"files: {shown!r} is empty; send a MIDI file or a zip of MIDI files.")
    return size_bytes, digest.hexdigest()


def _needed(session: Session) -> set[int]:
    """Numbers of the uploads that an import waits for or is reading; one that has stored its pieces needs none."""
    unfinished = select(Dataset.source).join(Job, Dataset.job_id == Job.id).where(Dataset.ready.is_(False))
    sources = session.scalars(unfinished.where(Job.state.in_([JobState.QUEUED, JobState.RUNNING])))
    return {int(number) for source in sources for number in source.get("settings", {}).get("uploads", [])}


def _delete(database: Database, store: ArtifactStore, uploads: list[tuple[int, str]]) -> int:
    if not uploads:
        return 0
    with database.transaction() as session:
        session.execute(delete(Upload).where(Upload.id.in_([upload_id for upload_id, _key in uploads])))
    for _upload_id, key in uploads:
        store.delete(key)
    return len(uploads)
