"""Whole imports as a worker runs them: claimed from the queue, on both databases, with a real store."""

from __future__ import annotations

import functools
import hashlib
import io
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from core.artifacts import ArtifactStore
from core.datasets.corpus import Corpus
from core.datasets.importing import NothingUsableError
from core.datasets.settings import ImportSettings
from core.errors import ConflictError, DownloadError, SupersededError
from core.models.base import utc_now
from core.models.datasets import Dataset, Piece, Rejection
from core.models.generations import Generation, Take
from core.models.jobs import JobLog, Queue
from core.models.uploads import Upload
from core.music.notes import Notes
from core.music.writing import write_midi
from core.queue.claim import claim
from core.queue.lifecycle import release
from core.records.database import Database
from core.services.datasets import create_import, get_dataset, get_piece, original_midi, piece_notes
from core.services.uploads import save_upload
from core.settings import Settings
from worker.tasks import importing
from worker.unit_context import Interrupt, UnitContext, UnitInterrupted

Start = Callable[..., UnitContext]


def midi_of(seed: int, count: int = 30) -> bytes:
    random = np.random.default_rng(seed)
    onset = np.cumsum(random.integers(0, 50, count)) / 100
    return write_midi(Notes.of(onset, random.random(count) + 0.05, random.integers(30, 90, count), [64] * count))


def zip_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


@pytest.fixture
def start(database: Database, store: ArtifactStore, settings: Settings) -> Start:
    """Queue an import and claim it, as a worker would."""

    def run(**values: Any) -> UnitContext:
        with database.transaction() as session:
            create_import(session, ImportSettings.parse(values))
        return claimed(database, store, settings)

    return run


def claimed(database: Database, store: ArtifactStore, settings: Settings) -> UnitContext:
    with database.exclusive() as session:
        unit = claim(session, Queue.LIGHT, "tester")
    assert unit is not None
    return UnitContext(database, store, settings, unit)


def dataset_of(context: UnitContext) -> Dataset:
    with context.database.reading() as session:
        return get_dataset(session, context.payload["dataset_id"])


def upload(database: Database, store: ArtifactStore, name: str, data: bytes) -> int:
    return save_upload(database, store, io.BytesIO(data), name, "local", 10**8).id


def files_below(store: ArtifactStore, key: str) -> list[str]:
    folder = store.local_path(key)
    assert folder is not None
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_uploads_become_a_dataset_and_are_deleted(database: Database, store: ArtifactStore, start: Start) -> None:
    odd_name = "x\ud800\0/\u202eÜ" + "y" * 400 + ".mid"
    numbers = [
        upload(database, store, "all.zip", zip_of({f"{seed}.mid": midi_of(seed) for seed in range(6)})),
        upload(database, store, odd_name, midi_of(50)),
        upload(database, store, "notes.txt", b"no music"),
    ]
    context = start(source="upload", uploads=numbers, name="Mine")
    importing.run(context)
    dataset = dataset_of(context)
    assert dataset.ready
    assert (dataset.pieces_count, dataset.rejected_count, dataset.notes_count) == (7, 1, 210)
    assert dataset.seconds > 0
    assert dataset.events_count > 210
    assert len(dataset.content_hash) == 64
    corpus = Corpus.from_bytes(store.read(dataset.corpus_key))
    with database.reading() as session:
        pieces = session.scalars(select(Piece).order_by(Piece.index)).all()
        assert [piece.index for piece in pieces] == list(range(7))
        for piece in (pieces[0], pieces[6]):
            loaded = get_piece(session, piece.id)
            assert np.array_equal(piece_notes(store, loaded).pitch, corpus.piece(piece.index).pitch)
        assert original_midi(store, get_piece(session, pieces[6].id)) == midi_of(50)
        assert pieces[6].sha256 == hashlib.sha256(midi_of(50)).hexdigest()
        assert pieces[6].file_name.endswith("yyy.mid")
        assert pieces[0].instruments[0]["name"] == "Acoustic Grand Piano"
        (rejection,) = session.scalars(select(Rejection)).all()
        assert rejection.file_name == "notes.txt"
        assert "not a MIDI file" in rejection.reason
        assert session.scalar(select(func.count()).select_from(Upload)) == 0
        assert "7 pieces imported" in session.scalars(select(JobLog.message)).one()
    assert files_below(store, "uploads") == []
    assert files_below(store, "datasets") == ["corpus.npz", "originals.zip"]


def test_nothing_usable_fails_with_the_reasons_listed(database: Database, store: ArtifactStore, start: Start) -> None:
    context = start(source="upload", uploads=[upload(database, store, "evil.zip", zip_of({"../x.mid": midi_of(1)}))])
    with pytest.raises(NothingUsableError, match=r"evil\.zip.*leads out of its folder"):
        importing.run(context)
    dataset = dataset_of(context)
    assert not dataset.ready
    assert dataset.rejected_count == 1
    assert files_below(store, "uploads") != []
    assert files_below(store, "datasets") == []


def test_an_import_that_is_told_to_stop_starts_over_cleanly(
    database: Database, store: ArtifactStore, settings: Settings, start: Start
) -> None:
    number = upload(database, store, "all.zip", zip_of({f"{seed}.mid": midi_of(seed) for seed in range(30)}))
    context = start(source="upload", uploads=[number])
    context.interrupt(Interrupt.STOP)
    with pytest.raises(UnitInterrupted):
        importing.run(context)
    # What a killed attempt leaves behind: parts in the store, and its working folder.
    folder = dataset_of(context).source["folder"]
    store.write(f"{folder}/{context.unit_id}-1/originals.zip.0badcafe.part", b"half")
    (settings.data_dir / "cache" / "work" / f"import-{context.unit_id}-1").mkdir(parents=True, exist_ok=True)
    with database.transaction() as session:
        release(session, context.unit_id, context.attempt)
    second = claimed(database, store, settings)
    assert second.attempt == 2
    importing.run(second)
    assert dataset_of(second).pieces_count == 30
    assert files_below(store, "datasets") == ["corpus.npz", "originals.zip"]
    assert list((settings.data_dir / "cache" / "work").iterdir()) == []
    importing.run(second)  # died after its last transaction: nothing is left to do
    assert dataset_of(second).pieces_count == 30


def test_an_attempt_that_was_given_up_changes_nothing(
    database: Database, store: ArtifactStore, settings: Settings, start: Start
) -> None:
    number = upload(database, store, "all.zip", zip_of({f"{seed}.mid": midi_of(seed) for seed in range(5)}))
    late = start(source="upload", uploads=[number])
    with database.transaction() as session:
        release(session, late.unit_id, late.attempt)
    other = claimed(database, store, settings)
    with pytest.raises(SupersededError):
        importing.run(late)
    assert not dataset_of(late).ready
    importing.run(other)
    assert dataset_of(other).pieces_count == 5
    assert files_below(store, "datasets") == ["corpus.npz", "originals.zip"]


def test_a_missing_upload_is_said(database: Database, store: ArtifactStore, start: Start) -> None:
    number = upload(database, store, "a.mid", midi_of(1))
    context = start(source="upload", uploads=[number])
    with database.transaction() as session:
        session.delete(session.get_one(Upload, number))
    with pytest.raises(ConflictError, match=f"uploaded file {number} is not here any more"):
        importing.run(context)


def test_takes_become_a_dataset(database: Database, store: ArtifactStore, start: Start) -> None:
    with database.transaction() as session:
        generation = Generation(model_name="m", model_hash="h", name="g", settings={}, takes_total=4)
        session.add(generation)
        session.flush()
        takes = []
        for index in range(4):
            data = midi_of(index + 100)
            key = f"generations/{generation.id}/{index}.mid"
            store.write(key, data)
            figures = {"notes_count": 30, "seconds": 1.0, "notes_per_second": 1.0}
            shape = {"pitch_class_entropy": 1.0, "polyphony": 1.0, "measures": {}}
            takes.append(
                Take(
                    generation_id=generation.id,
                    index=index,
                    seed=index,
                    temperature=1.0,
                    midi_key=key,
                    midi_bytes=len(data),
                    sha256=hashlib.sha256(data).hexdigest(),
                    defect="stuck" if index == 2 else "",
                    **figures,
                    **shape,
                )
            )
        session.add_all(takes)
    context = start(source="takes", generation_id=generation.id)
    importing.run(context)
    assert dataset_of(context).pieces_count == 3
    chosen = start(source="takes", generation_id=generation.id, take_ids=[takes[2].id])
    importing.run(chosen)
    assert dataset_of(chosen).pieces_count == 1


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def web_folder(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which a real web server gives its files."""
    folder = tmp_path / "web"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_zip_is_imported_by_its_address(web_folder: tuple[Path, str], start: Start, settings: Settings) -> None:
    folder, address = web_folder
    rows = "".join(f"C{seed},T{seed},test,1999,2018/{seed}.midi,,\n" for seed in range(3))
    table = "canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration\n" + rows
    data = zip_of({"m/table.csv": table.encode(), **{f"m/2018/{seed}.midi": midi_of(seed) for seed in range(5)}})
    (folder / "music.zip").write_bytes(data)
    context = start(
        source="maestro",
        address=f"{address}/music.zip",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        files_limit=4,
    )
    importing.run(context)
    dataset = dataset_of(context)
    assert dataset.pieces_count == 4
    with context.database.reading() as session:
        pieces = session.scalars(select(Piece).order_by(Piece.index)).all()
    assert [(piece.title, piece.composer, piece.year) for piece in pieces[:3]] == [
        (f"T{seed}", f"C{seed}", 1999) for seed in range(3)
    ]
    assert [piece.split for piece in pieces[:3]] == ["test"] * 3
    shutil.rmtree(folder)
    again = start(
        source="maestro", address=f"{address}/music.zip", sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)
    )
    importing.run(again)  # from the cache: the server has nothing any more
    assert dataset_of(again).pieces_count == 5


def test_an_address_without_a_file_fails_with_a_sentence(web_folder: tuple[Path, str], start: Start) -> None:
    with pytest.raises(DownloadError, match="answered 404 File not found"):
        importing.run(start(source="maestro", address=f"{web_folder[1]}/none.zip"))


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_starter_dataset(start: Start) -> None:
    context = start(source="starter")
    before = utc_now()
    importing.run(context)
    dataset = dataset_of(context)
    assert dataset.created_at <= before
    assert dataset.pieces_count == 404
    assert dataset.rejected_count == 0
    splits = dataset.statistics["splits"]
    assert splits["train"]["pieces"] > 6 * splits["validation"]["pieces"] > 0
    with context.database.reading() as session:
        piece = session.scalars(select(Piece).where(Piece.file_name == "bwv269.mid")).one()
    assert piece.title == "BWV 269 Aus meines Herzens Grunde"
    assert piece.composer == "Johann Sebastian Bach"
    assert [part["name"] for part in piece.instruments] == ["Soprano", "Alto", "Tenor", "Bass"]
