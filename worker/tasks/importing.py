"""Importing a dataset: bring the files, read them, then write all rows at once."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import select

from core.datasets.download import Download, DownloadRules, download
from core.datasets.importing import Imported, NothingUsableError, import_files
from core.datasets.records import record_import, record_rejections
from core.datasets.settings import ImportSettings
from core.datasets.sources import SourceBuilder, StoredFile
from core.datasets.starter import starter_zip
from core.errors import ConflictError, SupersededError
from core.models.datasets import Dataset
from core.models.generations import Take
from core.models.uploads import Upload
from core.people.accounts import accounts_are_on
from core.services.takes import take_file_name
from core.services.uploads import delete_uploads
from worker.unit_context import UnitContext

_DOWNLOADS_KEPT_SECONDS = 7 * 24 * 3600
_WORK_KEPT_SECONDS = 24 * 3600


def run(context: UnitContext) -> None:
    """Import the dataset of the unit's payload.

    Nothing of an attempt is seen before its last transaction; one that dies leaves files that the next removes.

    Raises:
        ConflictError: the dataset, an upload or a take was deleted.
        DownloadError, ArchiveError, StorageError, NothingUsableError: see there.
        UnitInterrupted: the unit shall stop.
    """
    dataset_id = int(context.payload["dataset_id"])
    with context.database.reading() as session:
        dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise ConflictError(f"The dataset {dataset_id} was deleted; start a new import.")
    if dataset.ready:
        return  # An earlier attempt did all but say so.
    settings = ImportSettings.parse(dataset.source["settings"])
    files = _bring(context, settings)
    try:
        imported = _read(context, str(dataset.source["folder"]), files, settings)
    except NothingUsableError as error:
        with context.transaction() as session:
            record_rejections(session, dataset_id, error.imported.rejected)
        raise
    try:
        with context.transaction() as session:
            record_import(session, dataset_id, imported)
            context.mark_progressed(session)
    except (SupersededError, ConflictError):
        # Refused before the commit. After any other error nobody knows whether the rows are there: keep their files.
        context.store.delete(f"{imported.corpus_key.rpartition('/')[0]}/")
        raise
    _report(context, imported)
    delete_uploads(context.database, context.store, settings.uploads)


def _read(context: UnitContext, folder: str, files: list[StoredFile], settings: ImportSettings) -> Imported:
    # Each attempt has its own folder: one that was given up and wakes late cannot touch what another stored.
    own = f"{folder}/{context.unit_id}-{context.attempt}"
    for left_over in context.store.children(folder):
        context.store.delete(f"{left_over}/")
    context.progress(phase="looking into the files")
    with SourceBuilder() as builder, _work_dir(context) as work_dir:
        for file in files:
            context.check()
            builder.add(file)
        return import_files(builder.finish(settings.files_limit), context.store, own, work_dir, context)


def _bring(context: UnitContext, settings: ImportSettings) -> list[StoredFile]:
    cache = context.settings.data_dir / "cache"
    if settings.source == "starter":

        def convert(done: int, total: int) -> None:
            context.progress(done=done, total=total, unit="scores", phase="converting scores")

        path = starter_zip(cache, progress=convert, check=context.check)
        return [StoredFile(path.name, partial(path.open, "rb"))]
    if settings.source == "maestro":
        path = _download(context, settings, cache / "downloads")
        return [StoredFile(settings.address.rpartition("/")[2] or "download.zip", partial(path.open, "rb"))]
    if settings.source == "upload":
        return _uploads(context, settings)
    return _takes(context, settings)


def _download(context: UnitContext, settings: ImportSettings, folder: Path) -> Path:
    _remove_older(folder, "*", _DOWNLOADS_KEPT_SECONDS)
    wanted = Download(settings.address, settings.expected_size_bytes, settings.expected_sha256)
    name = hashlib.sha256(f"{wanted.address} {wanted.size_bytes} {wanted.sha256}".encode()).hexdigest()[:32]
    if not wanted.sha256:
        context.log("No SHA-256 is known for this address, so what arrives cannot be checked.", "warning")
    began, at_start = time.monotonic(), -1

    def progress(done: int, total: int) -> None:
        nonlocal at_start
        at_start = done if at_start < 0 else at_start
        rate = (done - at_start) / max(time.monotonic() - began, 1e-3)
        context.progress(
            done=done / 1e6,
            total=total / 1e6,
            unit="MB",
            phase="downloading",
            rate=rate / 1e6,
            rate_unit="MB/s",
            seconds_left=(total - done) / rate if rate and total else None,
        )

    context.progress(phase="downloading")
    rules = DownloadRules(internal=_may_be_internal(context))
    path = download(wanted, folder / f"{name}.zip", progress=progress, check=context.check, rules=rules)
    os.utime(path)
    return path


def _may_be_internal(context: UnitContext) -> bool:
    """Whoever uses this machine alone can reach what it reaches; a team's members perhaps cannot."""
    with context.database.reading() as session:
        return context.settings.internal_downloads or not accounts_are_on(session)


def _uploads(context: UnitContext, settings: ImportSettings) -> list[StoredFile]:
    with context.database.reading() as session:
        rows = {row.id: row for row in session.scalars(select(Upload).where(Upload.id.in_(settings.uploads)))}
    missing = [number for number in settings.uploads if number not in rows]
    if missing:
        raise ConflictError(f"The uploaded file {missing[0]} is not here any more; upload it again.")
    uploads = [rows[number] for number in settings.uploads]
    return [StoredFile(upload.file_name, partial(context.store.open, upload.key)) for upload in uploads]


def _takes(context: UnitContext, settings: ImportSettings) -> list[StoredFile]:
    statement = select(Take).where(Take.generation_id == settings.generation_id).order_by(Take.index)
    with context.database.reading() as session:
        takes = session.scalars(statement).all()
    wanted = set(settings.take_ids)
    chosen = [take for take in takes if (take.id in wanted if wanted else not take.defect)]
    gone = wanted - {take.id for take in chosen}
    if gone:
        raise ConflictError(f"Take {min(gone)} was deleted; choose the takes once more.")
    return [StoredFile(take_file_name(take), partial(context.store.open, take.midi_key)) for take in chosen]


@contextmanager
def _work_dir(context: UnitContext) -> Iterator[Path]:
    parent = context.settings.data_dir / "cache" / "work"
    _remove_older(parent, f"import-{context.unit_id}-*", 0)
    _remove_older(parent, "import-*", _WORK_KEPT_SECONDS)
    path = parent / f"import-{context.unit_id}-{context.attempt}"
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _remove_older(folder: Path, pattern: str, seconds: float) -> None:
    """Remove what dead attempts left in a folder, once it has lain there for so long."""
    for path in folder.glob(pattern):
        try:
            if time.time() - path.stat().st_mtime >= seconds:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except FileNotFoundError:
            continue  # Another import was quicker.


def _report(context: UnitContext, imported: Imported) -> None:
    skipped, doubles = imported.statistics["skipped_files"], imported.doubles
    context.log(
        f"{len(imported.pieces):,} pieces imported, {len(imported.rejected):,} files left out "
        f"(of these {doubles:,} doubles), {skipped:,} other files passed over."
    )
