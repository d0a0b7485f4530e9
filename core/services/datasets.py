"""Datasets: import, look up, rename, delete; their pieces and the files that could not be used."""

from __future__ import annotations

import secrets
import zipfile
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, joinedload

from core.artifacts import ArtifactStore
from core.datasets.corpus_file import read_piece
from core.datasets.names import clean_text, original_name
from core.datasets.settings import LONGEST_NAME, ImportSettings
from core.errors import ConflictError, InputError, NotFoundError, StorageError
from core.models.datasets import Dataset, Piece, Rejection
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobKind, JobState, Queue
from core.models.trainings import Training
from core.models.uploads import Upload
from core.music.notes import Notes
from core.people.audit import acting
from core.queue.enqueue import enqueue
from core.records.database import Database, announce
from core.services.measuring import job_measuring
from core.services.paging import Page, fetch_page, sort_column
from core.services.rows import kept
from core.services.uploads import may_use

PIECE_ORDERS: dict[str, Any] = {
    "index": Piece.index,
    "title": Piece.title,
    "composer": Piece.composer,
    "year": Piece.year,
    "split": Piece.split,
    "notes": Piece.notes_count,
    "seconds": Piece.seconds,
    "file_name": Piece.file_name,
}
"""What pieces can be sorted by."""


def create_import(session: Session, settings: ImportSettings, owner: str = "local") -> Dataset:
    """Queue an import; the dataset is empty and not `ready` until its job has succeeded.

    Raises:
        InputError: an upload, generation or take that does not exist.
    """
    _check_source(session, settings)
    dataset = Dataset(name=settings.display_name, owner=owner, source={})
    session.add(dataset)
    session.flush()
    # A database may give a deleted dataset's number to a new one: the token keeps their files apart.
    folder = f"datasets/{dataset.id}-{secrets.token_hex(4)}"
    dataset.source = {"kind": settings.source, "settings": settings.model_dump(mode="json"), "folder": folder}
    job = enqueue(
        session,
        kind=JobKind.IMPORT,
        queue=Queue.LIGHT,
        title=f"Import of {dataset.name}",
        owner=owner,
        payloads=[{"dataset_id": dataset.id}],
        request={"subject": "dataset", "subject_id": dataset.id, "settings": settings.model_dump(mode="json")},
        progress_unit="files",
    )
    dataset.job_id = job.id
    announce(session, f"dataset:{dataset.id}", "datasets")
    return dataset


def list_datasets(session: Session, *, search: str = "", page: int = 1, per_page: int = 50) -> Page[Dataset]:
    """Datasets with their jobs, the newest first."""
    statement = select(Dataset).options(joinedload(Dataset.job)).order_by(Dataset.id.desc())
    if search.strip():
        statement = statement.where(Dataset.name.icontains(search.strip(), autoescape=True))
    return fetch_page(session, statement, page=page, per_page=per_page)


def get_dataset(session: Session, dataset_id: int) -> Dataset:
    """One dataset with its job.

    Raises:
        NotFoundError: there is none of this number.
    """
    statement = select(Dataset).where(Dataset.id == dataset_id).options(joinedload(Dataset.job))
    dataset = session.scalar(statement)
    if dataset is None:
        raise NotFoundError(f"There is no dataset {dataset_id}.")
    return dataset


def ready_dataset(session: Session, dataset_id: int) -> Dataset:
    """A dataset that something can be made from; it stays until the transaction ends.

    Raises:
        InputError: there is none of this number.
        ConflictError: it is not imported yet.
    """
    dataset = kept(session, Dataset, dataset_id)
    if dataset is None:
        raise InputError.of("dataset_id", f"dataset_id: there is no dataset {dataset_id}; choose one from the list.")
    if not dataset.ready:
        raise ConflictError(f"The dataset {dataset.name!r} is not imported yet; wait until its import has finished.")
    return dataset


def rename_dataset(session: Session, dataset_id: int, name: str) -> Dataset:
    """Give a dataset another name.

    Raises:
        NotFoundError: there is none of this number.
        InputError: an empty or too long name.
    """
    dataset = get_dataset(session, dataset_id)
    if not 1 <= len(name.strip()) <= LONGEST_NAME:
        raise InputError.of(
            "name", f"name: {len(name.strip())} characters are refused; allowed is 1 to {LONGEST_NAME}."
        )
    dataset.name = clean_text(name, LONGEST_NAME) or dataset.name
    announce(session, f"dataset:{dataset.id}", "datasets")
    return dataset


def delete_dataset(database: Database, store: ArtifactStore, dataset_id: int) -> None:
    """Delete a dataset with its pieces and files; models trained on it and their takes stay.

    Raises:
        NotFoundError: there is none of this number.
        ConflictError: a queued or running job uses it; the message names the job.
    """
    with database.exclusive() as session:
        # Locked first: a training that is being queued at this moment is either seen below or finds no dataset.
        if session.scalar(select(Dataset.id).where(Dataset.id == dataset_id).with_for_update()) is None:
            raise NotFoundError(f"There is no dataset {dataset_id}.")
        dataset = get_dataset(session, dataset_id)
        job = _job_using(session, dataset)
        if job is not None:
            raise ConflictError(
                f"The dataset {dataset.name!r} is used by job {job.id} ({job.title}); cancel it or wait until it ends."
            )
        folder = str(dataset.source.get("folder", ""))
        session.delete(dataset)
        announce(session, f"dataset:{dataset_id}", "datasets")
    # Rows first: a death between the two leaves files without a row, which `sweep_datasets` finds.
    if folder:
        store.delete(f"{folder}/")


def sweep_datasets(database: Database, store: ArtifactStore) -> int:
    """Remove files of datasets that are gone; how many datasets' files were removed."""
    # Files are listed before the rows are read, and a row is always older than its files: no new import is hit.
    folders = store.children("datasets")
    if not folders:
        return 0
    with database.reading() as session:
        known = {str(source.get("folder", "")) for source in session.scalars(select(Dataset.source))}
    orphans = [folder for folder in folders if folder not in known]
    for folder in orphans:
        store.delete(f"{folder}/")
    return len(orphans)


def find_pieces(
    session: Session,
    dataset_id: int,
    *,
    search: str = "",
    sort: str = "index",
    descending: bool = False,
    page: int = 1,
    per_page: int = 50,
) -> Page[Piece]:
    """Pieces of a dataset whose title, composer or file name contains `search`, sorted by one of `PIECE_ORDERS`.

    Raises:
        InputError: an unknown order, or a page outside the range.
    """
    column = sort_column(PIECE_ORDERS, sort)
    statement = select(Piece).where(Piece.dataset_id == dataset_id)
    if words := search.strip():
        columns = (Piece.title, Piece.composer, Piece.file_name)
        statement = statement.where(or_(*(text.icontains(words, autoescape=True) for text in columns)))
    statement = statement.order_by(column.desc() if descending else column.asc(), Piece.index)
    return fetch_page(session, statement, page=page, per_page=per_page)


def get_piece(session: Session, piece_id: int) -> Piece:
    """One piece with its dataset.

    Raises:
        NotFoundError: there is none of this number.
    """
    statement = select(Piece).where(Piece.id == piece_id).options(joinedload(Piece.dataset))
    piece = session.scalar(statement)
    if piece is None:
        raise NotFoundError(f"There is no piece {piece_id}.")
    return piece


def piece_notes(store: ArtifactStore, piece: Piece) -> Notes:
    """The notes of a piece, pedal folded in; reads only its own rows of the stored corpus.

    Raises:
        StorageError: the stored notes are missing or damaged.
    """
    with store.open(piece.dataset.corpus_key) as stream:
        return read_piece(stream, piece.index)


def original_midi(store: ArtifactStore, piece: Piece) -> bytes:
    """The MIDI file of a piece as it came.

    Raises:
        StorageError: the stored file is missing or damaged.
    """
    with store.open(piece.dataset.originals_key) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                return archive.read(original_name(piece.index))
        except (zipfile.BadZipFile, KeyError, EOFError, OSError) as error:
            raise StorageError(
                f"The stored file of {piece.title!r} is damaged ({error}); import the dataset again."
            ) from error


def find_rejections(session: Session, dataset_id: int, *, page: int = 1, per_page: int = 50) -> Page[Rejection]:
    """Files that an import could not use, in the order in which they were read."""
    statement = select(Rejection).where(Rejection.dataset_id == dataset_id).order_by(Rejection.id)
    return fetch_page(session, statement, page=page, per_page=per_page)


def _check_source(session: Session, settings: ImportSettings) -> None:
    if settings.source == "upload":
        # Stored uploads have a digest; one without is still arriving, or its sender went away.
        statement = select(Upload).where(Upload.id.in_(settings.uploads), Upload.sha256 != "")
        usable = {upload.id for upload in session.scalars(statement) if may_use(session, upload)}
        missing = set(settings.uploads) - usable
        if missing:
            raise InputError.of(
                "uploads", f"uploads: there is no uploaded file {min(missing)} (any more); upload it again."
            )
    if settings.source == "takes":
        generation = session.get(Generation, settings.generation_id)
        if generation is None or not acting(session).may_see(generation.owner):
            raise InputError.of(
                "generation_id", f"generation_id: there is no generation {settings.generation_id}; choose one."
            )
        takes = select(Take.id).where(Take.generation_id == settings.generation_id)
        known = set(session.scalars(takes))
        strangers = set(settings.take_ids) - known
        if strangers or not known:
            which = f"take {min(strangers)}" if strangers else "take"
            raise InputError.of("take_ids", f"take_ids: generation {settings.generation_id} has no {which} yet.")


def _job_using(session: Session, dataset: Dataset) -> Job | None:
    active = Job.state.in_([JobState.QUEUED, JobState.RUNNING])
    importing = select(Job).where(Job.id == dataset.job_id, active)
    training = select(Job).join(Training, Training.job_id == Job.id).where(Training.dataset_id == dataset.id, active)
    found = session.scalar(importing.limit(1)) or session.scalar(training.limit(1))
    return found or job_measuring(session, dataset_id=dataset.id)
