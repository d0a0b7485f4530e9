"""Putting a backup in the place of what an installation holds: files first, then all rows in one transaction."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, text

from core.artifacts import ArtifactStore
from core.errors import ConflictError
from core.models.workers import Worker, WorkerState
from core.operations.backup import Manifest, Tell, check_backup
from core.operations.rows import count_filled_tables, empty_tables, load_tables
from core.records import schema
from core.records.database import Database

_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back: rows by table, number of files, and files of before that were deleted."""

    rows: dict[str, int]
    files: int
    deleted: int


def is_empty(database: Database) -> bool:
    """Whether nothing would be lost: there are no tables, or no row in any."""
    if not schema.current(database):
        return True
    with database.engine.connect() as connection:
        return count_filled_tables(connection) == 0


def restore_backup(
    database: Database,
    store: ArtifactStore,
    folder: Path,
    *,
    replace: bool = False,
    watch_seconds: float = 6.0,
    tell: Tell = lambda _: None,
) -> Restored:
    """Make the installation what it was when the backup was made. The parts must not run.

    The backup may come from either kind of database and from an older revision; the tables are migrated to this
    program's afterwards. Files are stored before the rows that speak of them, and what no row speaks of afterwards
    is deleted last: a death in between leaves either the rows of before or the new ones, and restoring again ends it.

    Args:
        database: the database to fill.
        store: the store to fill.
        folder: a backup.
        replace: replace what is there; make a backup of it first.
        watch_seconds: how long to look whether a worker beats.
        tell: called with a line now and then.

    Raises:
        CadenzaError: the backup is damaged, or comes from a newer revision.
        ConflictError: there is something already and `replace` is not set, or workers run.
    """
    manifest = check_backup(folder)
    if not is_empty(database):
        if not replace:
            raise ConflictError("This installation is not empty; restoring replaces all that it holds.")
        _refuse_running(database, watch_seconds)
    for number, key in enumerate(manifest.files, 1):
        with (folder / "files" / key).open("rb") as source, store.writer(key) as target:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)
        if number % 1000 == 0 or number == len(manifest.files):
            tell(f"{number:,} of {len(manifest.files):,} files")
    rows = _replace_rows(database, folder, manifest)
    deleted = 0
    for key in set() if manifest.rows_only else set(store.files()) - manifest.files.keys():
        store.delete(key)
        deleted += 1
    return Restored(rows, len(manifest.files), deleted)


def _replace_rows(database: Database, folder: Path, manifest: Manifest) -> dict[str, int]:
    with schema.rebuilding(database, manifest.revision, empty_tables) as connection:
        rows = load_tables(connection, folder / "tables", manifest.last_ids)
        # The workers of then are not those of now; what they ran goes back to the queue once its silence is noticed.
        connection.execute(text("UPDATE worker SET state = 'gone', unit_id = NULL"))
    return rows


def _refuse_running(database: Database, watch_seconds: float) -> None:
    """Nobody may work on what is being replaced.

    Raises:
        ConflictError: a worker beats.
    """
    if schema.current(database) != schema.newest():
        return
    # Workers that were killed are still shown; only one that beats is there.
    beats = _beats(database)
    deadline = time.monotonic() + watch_seconds
    while beats and time.monotonic() < deadline:
        time.sleep(min(watch_seconds, 0.2))
        alive = sorted(name for name, beat in _beats(database).items() if beats.get(name) != beat)
        if alive:
            raise ConflictError(
                f"The worker {alive[0]!r} is running. Stop all parts of this installation first "
                "(Ctrl-C ends 'cadenza up')."
            )


def _beats(database: Database) -> dict[str, int]:
    with database.reading() as session:
        rows = session.execute(select(Worker.name, Worker.beat).where(Worker.state != WorkerState.GONE))
        return {row.name: row.beat for row in rows}
