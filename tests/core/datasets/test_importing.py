from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.artifacts import ArtifactStore
from core.datasets.corpus import Corpus
from core.datasets.importing import Imported, NothingUsableError, import_files
from core.datasets.sources import SourceBuilder, StoredFile
from core.errors import ArchiveError, StorageError
from core.music.reading import read_midi
from core.music.writing import write_midi

MakeMidi = Callable[..., bytes]
MakeZip = Callable[[dict[str, bytes]], io.BytesIO]
MAESTRO = "maestro-v3.0.0-midi-train-validation.zip"


class Notebook:
    """Writes down the progress; ends the import after `stop_after` looks."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.seen: list[dict[str, Any]] = []
        self.left = stop_after

    def progress(
        self,
        done: float | None = None,
        total: float | None = None,
        unit: str | None = None,
        phase: str | None = None,
        rate: float | None = None,
        rate_unit: str | None = None,
        seconds_left: float | None = None,
    ) -> None:
        self.seen.append({"done": done, "total": total, "unit": unit, "phase": phase})

    def check(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise StopHereError


class StopHereError(Exception):
    pass


def run(
    store: ArtifactStore, tmp_path: Path, *files: tuple[str, bytes], limit: int = 0, notebook: Notebook | None = None
) -> Imported:
    work_dir = tmp_path / "work"
    work_dir.mkdir(exist_ok=True)
    with SourceBuilder() as builder:
        for name, data in files:
            builder.add(StoredFile(name, lambda data=data: io.BytesIO(data)))  # type: ignore[misc]  # binds the loop's value
        return import_files(builder.finish(limit), store, "datasets/1/1", work_dir, notebook or Notebook())


def stored_files(store: ArtifactStore) -> list[str]:
    folder = store.local_path("datasets")
    assert folder is not None
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_good_files_are_stored_and_the_others_listed(
    make_midi: MakeMidi, make_zip: MakeZip, store: ArtifactStore, tmp_path: Path
) -> None:
    first, second = make_midi(1), make_midi(2)
    same_notes = write_midi(read_midi(first).notes, program=40)
    zipped = make_zip({"2.mid": second, "copy.mid": first, "same.mid": same_notes, "bad.mid": b"x", "bad 2.mid": b"x"})
    notebook = Notebook()
    imported = run(store, tmp_path, ("1.mid", first), ("all.zip", zipped.getvalue()), notebook=notebook)
    assert [piece.name for piece in imported.pieces] == ["1.mid", "2.mid"]
    reasons = dict(imported.rejected)
    assert reasons["copy.mid"] == "It is the same file as 1.mid."
    assert reasons["same.mid"] == "It has the same notes as 1.mid."
    assert "not a MIDI file" in reasons["bad 2.mid"]
    assert reasons["bad.mid"] == "It is the same file as bad 2.mid."
    assert imported.doubles == 3
    corpus = Corpus.from_bytes(store.read(imported.corpus_key))
    with zipfile.ZipFile(io.BytesIO(store.read(imported.originals_key))) as originals:
        assert [originals.read(name) for name in originals.namelist()] == [first, second]
    for index, data in enumerate((first, second)):
        assert np.array_equal(corpus.piece(index).onset_seconds, read_midi(data).notes.onset_seconds)
        assert np.array_equal(corpus.piece(index).pitch, read_midi(data).notes.pitch)
    assert sum(imported.statistics["histograms"]["pitch"]["counts"]) == len(corpus.notes) == 80
    assert [seen["done"] for seen in notebook.seen if seen["done"] is not None] == [0, 1, 2, 3, 4, 5, 6]
    assert notebook.seen[0] == {"done": 0, "total": 6, "unit": "files", "phase": "reading files"}


def test_the_hash_knows_the_same_music_again(make_midi: MakeMidi, store: ArtifactStore, tmp_path: Path) -> None:
    files = [(f"{seed}.mid", make_midi(seed)) for seed in range(12)]
    one = run(store, tmp_path, *files)
    bytes_of_one = store.read(one.corpus_key)
    again = run(store, tmp_path, *files)
    assert store.read(again.corpus_key) == bytes_of_one
    other_order = run(store, tmp_path, *reversed(files))
    assert one.content_hash == again.content_hash == other_order.content_hash
    assert run(store, tmp_path, *files[1:]).content_hash != one.content_hash


def test_nothing_usable_is_said_with_the_reasons_and_leaves_no_file(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(NothingUsableError, match=r"No MIDI file could be used\. a\.mid: .*; and 2 more\.") as caught:
        run(store, tmp_path, *((f"{letter}.mid", letter.encode()) for letter in "abcde"))
    assert len(caught.value.imported.rejected) == 5
    assert stored_files(store) == []
    with pytest.raises(NothingUsableError, match="There was none among the files"):
        run(store, tmp_path)


def test_a_bomb_ends_the_import_and_leaves_no_file(
    make_midi: MakeMidi, make_zip: MakeZip, store: ArtifactStore, tmp_path: Path
) -> None:
    bomb = make_zip({"a.mid": make_midi(1), "b.mid": bytes(60 * 2**20)})
    with pytest.raises(ArchiveError, match=r"bomb\.zip is refused: at the entry 'b\.mid'"):
        run(store, tmp_path, ("bomb.zip", bomb.getvalue()))
    assert stored_files(store) == []


def test_an_import_can_be_ended_at_any_time(make_midi: MakeMidi, store: ArtifactStore, tmp_path: Path) -> None:
    files = [(f"{seed}.mid", make_midi(seed)) for seed in range(40)]
    for looks in (0, 7, 40):
        with pytest.raises(StopHereError):
            run(store, tmp_path, *files, notebook=Notebook(looks))
        assert stored_files(store) == []


def test_a_full_disk_is_said(make_midi: MakeMidi, tmp_path: Path) -> None:
    blocked = tmp_path / "artifacts"
    store = ArtifactStore(blocked.as_uri())
    (blocked / "datasets").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="cannot be stored"):
        run(store, tmp_path, ("a.mid", make_midi(1)))


def check_maestro(store: ArtifactStore, imported: Imported, pieces: int) -> None:
    assert len(imported.pieces) == pieces
    assert imported.rejected == []
    assert {piece.known.split for piece in imported.pieces} == {"train", "validation"}
    assert [piece.known.split for piece in imported.pieces] == imported.splits
    assert all(piece.known.composer and piece.known.year and piece.title for piece in imported.pieces)
    totals = imported.statistics["splits"]
    assert sum(split["notes"] for split in totals.values()) == sum(piece.notes_count for piece in imported.pieces)


def test_the_first_files_of_maestro(shared_data: Path, store: ArtifactStore, tmp_path: Path) -> None:
    imported = run(store, tmp_path, (MAESTRO, (shared_data / MAESTRO).read_bytes()), limit=30)
    check_maestro(store, imported, 30)
    corpus = Corpus.from_bytes(store.read(imported.corpus_key))
    with zipfile.ZipFile(io.BytesIO(store.read(imported.originals_key))) as originals:
        for index in (0, 17, 29):
            expected = read_midi(originals.read(f"{index:06d}.mid")).notes
            assert np.array_equal(corpus.piece(index).onset_seconds, expected.onset_seconds)
            assert np.array_equal(corpus.piece(index).duration_seconds, expected.duration_seconds)


@pytest.mark.slow
def test_the_whole_of_maestro(shared_data: Path, store: ArtifactStore, tmp_path: Path) -> None:
    imported = run(store, tmp_path, (MAESTRO, (shared_data / MAESTRO).read_bytes()))
    check_maestro(store, imported, 1_099)
    assert Counter(imported.splits) == {"train": 962, "validation": 137}
    assert sum(piece.notes_count for piece in imported.pieces) == 6_298_753
