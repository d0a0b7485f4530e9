from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.datasets.settings import ImportSettings
from core.errors import ConflictError, InputError, NotFoundError
from core.models.datasets import Dataset, Piece, Rejection
from core.models.jobs import Job, JobKind, JobState, Queue
from core.models.trainings import Training
from core.queue.enqueue import enqueue
from core.records.database import Database
from core.services.datasets import (
    PIECE_ORDERS,
    create_import,
    delete_dataset,
    find_pieces,
    find_rejections,
    get_dataset,
    get_piece,
    list_datasets,
    rename_dataset,
    sweep_datasets,
)


def add_dataset(database: Database, name: str = "Set", state: JobState = JobState.SUCCEEDED) -> int:
    with database.transaction() as session:
        dataset = create_import(session, ImportSettings.parse({"source": "starter", "name": name}))
        dataset.ready = state is JobState.SUCCEEDED
        session.get_one(Job, dataset.job_id).state = state
        session.add_all(
            Piece(
                dataset_id=dataset.id,
                index=index,
                title=title,
                composer=composer,
                year=year,
                file_name=f"{index}.mid",
                sha256=str(index),
                split="train",
                notes_count=notes,
                seconds=notes / 2,
                instruments=[],
            )
            for index, (title, composer, year, notes) in enumerate(
                [("Zebra", "Bach", 2004, 50), ("apple 100%", "Berg", None, 7), ("Ärger", "Bach", 1999, 900)]
            )
        )
        session.add_all(Rejection(dataset_id=dataset.id, file_name=f"{i}.txt", reason="no") for i in range(3))
    return dataset.id


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.reading() as opened:
        yield opened


def test_an_import_is_a_dataset_and_a_job_of_the_light_queue(database: Database, session: Session) -> None:
    with database.transaction() as writing:
        created = create_import(writing, ImportSettings.parse({"source": "starter", "files_limit": 3}), owner="ann")
    dataset = get_dataset(session, created.id)
    assert (dataset.name, dataset.owner, dataset.ready) == ("Bach chorales", "ann", False)
    assert dataset.source["kind"] == "starter"
    assert ImportSettings.parse(dataset.source["settings"]).files_limit == 3
    assert dataset.job is not None
    assert (dataset.job.kind, dataset.job.queue, dataset.job.owner) == (JobKind.IMPORT, Queue.LIGHT, "ann")
    assert dataset.job.units[0].payload == {"dataset_id": dataset.id}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"source": "upload", "uploads": [77]}, "uploads"),
        ({"source": "takes", "generation_id": 77}, "generation_id"),
    ],
)
def test_what_is_not_there_cannot_be_imported(database: Database, values: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match="77") as caught, database.transaction() as session:
        create_import(session, ImportSettings.parse(values))
    assert caught.value.problems[0].field == field


def test_pieces_are_searched_sorted_and_paged(database: Database, session: Session) -> None:
    number = add_dataset(database)
    add_dataset(database, "Other")

    def titles(**options: Any) -> list[str]:
        return [piece.title for piece in find_pieces(session, number, **options).items]

    assert titles() == ["Zebra", "apple 100%", "Ärger"]
    assert titles(sort="notes", descending=True) == ["Ärger", "Zebra", "apple 100%"]
    assert titles(search="bach") == ["Zebra", "Ärger"]
    assert titles(search="100%") == ["apple 100%"]
    assert titles(search="%") == ["apple 100%"]
    assert titles(search="2.mid") == ["Ärger"]
    page = find_pieces(session, number, page=2, per_page=2)
    assert ([piece.title for piece in page.items], page.total, page.pages) == (["Ärger"], 3, 2)
    for order in PIECE_ORDERS:
        assert len(titles(sort=order)) == 3
    with pytest.raises(InputError, match="sort: 'colour' is unknown; allowed are index, title"):
        titles(sort="colour")
    rejections = find_rejections(session, number, per_page=2)
    assert ([rejection.file_name for rejection in rejections.items], rejections.total) == (["0.txt", "1.txt"], 3)
    piece = get_piece(session, find_pieces(session, number).items[0].id)
    assert piece.dataset.name == "Set"
    with pytest.raises(NotFoundError, match="no piece 999"):
        get_piece(session, 999)


def test_datasets_are_listed_and_renamed(database: Database, session: Session) -> None:
    first, second = add_dataset(database, "Alpha"), add_dataset(database, "beta")
    assert [dataset.id for dataset in list_datasets(session).items] == [second, first]
    assert [dataset.name for dataset in list_datasets(session, search="ALPH").items] == ["Alpha"]
    with database.transaction() as writing:
        rename_dataset(writing, first, "  New\nname ")
    with database.reading() as reading:
        assert get_dataset(reading, first).name == "New name"
    for name in ("", "   ", "x" * 201):
        with pytest.raises(InputError, match="allowed is 1 to 200"), database.transaction() as writing:
            rename_dataset(writing, first, name)
    with pytest.raises(NotFoundError, match="no dataset 999"):
        get_dataset(session, 999)


def test_a_deleted_dataset_takes_its_rows_and_files_along(
    database: Database, store: ArtifactStore, session: Session
) -> None:
    number, kept = add_dataset(database), add_dataset(database, "Kept")
    for dataset_id in (number, kept):
        with database.reading() as reading:
            store.write(f"{get_dataset(reading, dataset_id).source['folder']}/1-1/corpus.npz", b"x")
    delete_dataset(database, store, number)
    assert session.scalars(select(Dataset.id)).all() == [kept]
    assert session.scalar(select(func.count()).select_from(Piece)) == 3
    assert session.scalar(select(func.count()).select_from(Rejection)) == 3
    assert len(store.children("datasets")) == 1
    with pytest.raises(NotFoundError):
        delete_dataset(database, store, number)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_a_dataset_in_use_is_not_deleted(database: Database, store: ArtifactStore, state: JobState) -> None:
    importing = add_dataset(database, "Importing", state)
    with pytest.raises(ConflictError, match=r"'Importing' is used by job \d+ \(Import of Importing\)"):
        delete_dataset(database, store, importing)
    number = add_dataset(database, "Trained on")
    with database.transaction() as session:
        job = enqueue(
            session,
            kind=JobKind.TRAINING,
            queue=Queue.TRAINING,
            title="My training",
            owner="local",
            payloads=[{}],
            request={},
        )
        job.state = state
        training = Training(job_id=job.id, dataset_id=number, name="t", family="lstm", settings={})
        session.add(training)
    with pytest.raises(ConflictError, match=rf"used by job {job.id} \(My training\)"):
        delete_dataset(database, store, number)
    with database.transaction() as session:
        session.get_one(Job, job.id).state = JobState.CANCELLED
    delete_dataset(database, store, number)
    with database.reading() as session:
        assert session.get_one(Training, training.id).dataset_id is None


def test_files_whose_dataset_is_gone_are_swept_up(database: Database, store: ArtifactStore) -> None:
    number = add_dataset(database)
    with database.reading() as session:
        folder = get_dataset(session, number).source["folder"]
    store.write(f"{folder}/1-1/corpus.npz", b"kept")
    store.write(f"datasets/{number}-00000000/1-1/corpus.npz", b"of a dataset that had this number before")
    assert sweep_datasets(database, store) == 1
    assert store.children("datasets") == [folder]
    assert sweep_datasets(database, store) == 0


def test_the_web_process_gets_no_heavy_library_along() -> None:
    program = "import core.services.datasets, core.services.uploads, sys; print([*sys.modules])"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    for heavy in ("tensorflow", "keras", "music21", "pretty_midi", "matplotlib", "httpx"):
        assert f"'{heavy}'" not in modules
