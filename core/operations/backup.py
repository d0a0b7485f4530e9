"""Copying a whole installation while it runs: a consistent picture of the rows, and every file that they speak of.

A backup is a folder: `manifest.json`, `tables/*.jsonl.gz` (one row a line) and `files/<key>`. Rows are taken in one
transaction (SQLite: from a copy by its own backup interface), so they belong together, whatever is written meanwhile.
Files never change under their key and are stored before their rows, so each is there when it is copied afterwards,
unless somebody deletes it in between: then the rows are taken once more, until both agree.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import core
from core.artifacts import ArtifactStore
from core.errors import CadenzaError, StorageError
from core.models.base import utc_now
from core.operations.rows import Dump, dump_tables
from core.records.database import Database
from core.records.schema import require_current

MANIFEST = "manifest.json"
FORMAT = 1
_CHUNK_BYTES = 2**20
_ROUNDS = 6

Tell = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a backup: its size in bytes and the SHA-256 of its content."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `tables` and `files` tell of each file below `tables/` and `files/`.

    With `rows_only` it is a copy of the tables alone. `missing` are keys of files that rows speak of and that the store
    had lost before.
    """

    format: int
    version: str
    revision: str
    made_at: str
    rows_only: bool
    rows: dict[str, int]
    last_ids: dict[str, int]
    tables: dict[str, StoredFile]
    files: dict[str, StoredFile]
    missing: list[str]

    @property
    def bytes(self) -> int:
        """Size of all of it."""
        return sum(file.bytes for file in [*self.tables.values(), *self.files.values()])

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a backup.

        Raises:
            CadenzaError: the folder holds no whole backup, or one of another format.
        """
        try:
            values = json.loads((folder / MANIFEST).read_text())
            if values["format"] != FORMAT:
                raise CadenzaError(
                    f"The backup in {folder} has format {values['format']}; this program reads {FORMAT}."
                )
            for name in ("tables", "files"):
                values[name] = {key: StoredFile(**value) for key, value in values[name].items()}
            return cls(**values)
        except FileNotFoundError:
            raise CadenzaError(f"{folder} holds no backup: there is no {MANIFEST} in it.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CadenzaError(f"The {MANIFEST} of the backup in {folder} is damaged: {error}.") from error


def make_backup(database: Database, store: ArtifactStore, folder: Path, tell: Tell = lambda _: None) -> Manifest:
    """Copy rows and files into a new folder, and read all of it back; the system may run meanwhile.

    Args:
        database: the database, with tables of this program's revision.
        store: the store of files.
        folder: where the backup will be; must not exist. It appears only when it is whole and checked.
        tell: called with a line now and then.

    Raises:
        CadenzaError: the folder exists, the tables are of another revision.
        StorageError: a file cannot be read or written.
    """
    require_current(database)
    with _aside(folder) as aside:
        files: dict[str, StoredFile] = {}
        missing: set[str] = set()
        for _ in range(_ROUNDS):
            dump = dump_tables(database, aside / "tables")
            tell(f"{sum(dump.rows.values()):,} rows of {len(dump.rows)} tables")
            before, missing = missing, _copy_files(store, aside / "files", dump, files, tell)
            # Deleted between rows and files: then the next rows do not speak of it. What stays missing was lost before.
            if not missing or missing == before:
                break
        for key in files.keys() - dump.keys:
            (aside / "files" / key).unlink()
        kept = {key: files[key] for key in sorted(dump.keys & files.keys())}
        return _finish(aside, dump, kept, sorted(missing), rows_only=False)


def copy_rows(database: Database, folder: Path) -> Manifest:
    """Copy the rows alone, of whatever revision the tables are: what an upgrade changes. Restoring it keeps all files.

    Raises:
        CadenzaError: the folder exists.
        StorageError: it cannot be written.
    """
    with _aside(folder) as aside:
        return _finish(aside, dump_tables(database, aside / "tables"), {}, [], rows_only=True)


def check_backup(folder: Path) -> Manifest:
    """Read a whole backup and compare every file with its manifest.

    Raises:
        CadenzaError: it is damaged; the message names a file.
    """
    manifest = Manifest.read(folder)
    told = {f"tables/{name}": file for name, file in manifest.tables.items()}
    told |= {f"files/{key}": file for key, file in manifest.files.items()}
    for name, file in told.items():
        try:
            found = _look(folder / name)
        except OSError as error:
            raise CadenzaError(f"The backup in {folder} is damaged: {name} cannot be read ({error}).") from error
        if found != file:
            raise CadenzaError(
                f"The backup in {folder} is damaged: {name} holds {found.bytes:,} bytes that are not those of the "
                f"{file.bytes:,} that were written. Use another backup."
            )
    return manifest


def _finish(folder: Path, dump: Dump, files: dict[str, StoredFile], missing: list[str], *, rows_only: bool) -> Manifest:
    """Write the manifest, and read all back."""
    manifest = Manifest(
        format=FORMAT,
        version=core.__version__,
        revision=dump.revision,
        made_at=utc_now().isoformat(timespec="seconds"),
        rows_only=rows_only,
        rows=dump.rows,
        last_ids=dump.last_ids,
        tables={path.name: _look(path) for path in sorted((folder / "tables").iterdir())},
        files=files,
        missing=missing,
    )
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1))
    return check_backup(folder)


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder beside `folder`, for this user's eyes only, that takes its name when the block ends well."""
    if folder.exists():
        raise CadenzaError(f"{folder} exists already; name a folder that does not.")
    aside = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for part in (aside, aside / "tables", aside / "files"):
            part.mkdir(parents=True, mode=0o700)
        yield aside
        aside.rename(folder)
    except OSError as error:
        raise StorageError(
            f"The backup cannot be written to {folder}: {error}. Free some space or name another."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _copy_files(store: ArtifactStore, folder: Path, dump: Dump, files: dict[str, StoredFile], tell: Tell) -> set[str]:
    """Copy what rows speak of and is not copied yet; those that are not in the store (any more)."""
    missing: set[str] = set()
    wanted = sorted(dump.keys - files.keys())
    for number, key in enumerate(wanted, 1):
        try:
            files[key] = _copy(store, key, folder / key)
        except StorageError:
            if store.exists(key):
                raise
            missing.add(key)
        if number % 1000 == 0 or number == len(wanted):
            tell(f"{number:,} of {len(wanted):,} files")
    return missing


def _copy(store: ArtifactStore, key: str, path: Path) -> StoredFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with store.open(key) as source, path.open("wb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    return StoredFile(size, digest.hexdigest())


def _look(path: Path) -> StoredFile:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return StoredFile(path.stat().st_size, digest)
