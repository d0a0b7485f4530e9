"""The way of an import: files are read, doubles dropped, pieces split, and notes, originals and figures stored."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.artifacts import ArtifactStore
from core.datasets.corpus import SPLITS, Split
from core.datasets.corpus_file import COLUMNS, write_corpus
from core.datasets.metadata import PieceMetadata
from core.datasets.names import original_name
from core.datasets.reader import ReadPiece
from core.datasets.reading_pool import ReadingPool
from core.datasets.sources import Source, SourceFile
from core.datasets.splits import split_pieces
from core.datasets.statistics import HISTOGRAMS, PieceTotals, summarise
from core.errors import CadenzaError

_NO_DATE = (1980, 1, 1, 0, 0, 0)
_REASONS_SHOWN = 3


class Reporter(Protocol):
    """Whom an import tells how far it is, and who can end it."""

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
        """How far the phase is, and how fast; what is left out stays as it was."""

    def check(self) -> None:
        """Raise to end the import."""


@dataclass(frozen=True, slots=True)
class ImportedPiece:
    """One piece as its row will say; `digest` is that of its notes, `sha256` that of its file."""

    name: str
    title: str
    known: PieceMetadata
    sha256: str
    digest: str
    notes_count: int
    events_count: int
    seconds: float
    instruments: list[dict[str, Any]]
    dropped_drum_notes: int


@dataclass(slots=True)
class Imported:
    """What an import found, in the order of the files; `splits[i]` belongs to `pieces[i]`."""

    corpus_key: str
    originals_key: str
    pieces: list[ImportedPiece] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    doubles: int = 0
    statistics: dict[str, Any] = field(default_factory=dict)
    stored_bytes: int = 0

    @property
    def content_hash(self) -> str:
        """SHA-256 over the pieces' notes and splits, whatever their order: equal for two imports of the same music."""
        lines = sorted(f"{piece.digest} {split}" for piece, split in zip(self.pieces, self.splits, strict=True))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class NothingUsableError(CadenzaError):
    """No file of an import could be used; `imported` still says why for each."""

    def __init__(self, imported: Imported) -> None:
        self.imported = imported
        reasons = "; ".join(f"{name}: {reason}" for name, reason in imported.rejected[:_REASONS_SHOWN])
        more = len(imported.rejected) - _REASONS_SHOWN
        said = (
            f" {reasons}" + (f"; and {more:,} more." if more > 0 else "")
            if reasons
            else " There was none among the files."
        )
        super().__init__(f"No MIDI file could be used.{said}")


def import_files(
    source: Source, store: ArtifactStore, folder: str, work_dir: Path, reporter: Reporter, processes: int = 2
) -> Imported:
    """Read all files of a source and store notes and originals below `folder`.

    Args:
        source: the files.
        store: where `folder` lies.
        folder: key prefix that belongs to this attempt alone, without a closing `/`.
        work_dir: an empty folder on this machine for what does not fit in memory; the caller removes it.
        reporter: told of the progress; what its `check` raises ends the import.
        processes: reader processes side by side.

    Raises:
        NothingUsableError: not one file could be used.
        ArchiveError: a zip expands beyond all measure.
        StorageError: the store refuses.
    """
    imported = Imported(f"{folder}/corpus.npz", f"{folder}/originals.zip")
    counts = {name: np.zeros(bins, np.int64) for name, bins in HISTOGRAMS.items()}
    with ExitStack() as stack:
        columns = {name: stack.enter_context((work_dir / name).open("w+b")) for name in COLUMNS}
        pool = stack.enter_context(ReadingPool(processes))
        target = stack.enter_context(store.writer(imported.originals_key))
        originals = stack.enter_context(zipfile.ZipFile(target, "w", zipfile.ZIP_STORED))
        reporter.progress(done=0, total=source.total, unit="files", phase="reading files")
        by_notes: dict[str, str] = {}
        began = time.monotonic()
        for done, (hashed, piece) in enumerate(pool.read(_without_doubles(source), reporter.check), start=1):
            if isinstance(piece, str):
                imported.rejected.append((hashed.file.name, piece))
                imported.doubles += hashed.is_double
            elif piece.digest in by_notes:
                reason = f"It has the same notes as {by_notes[piece.digest]}."
                imported.rejected.append((hashed.file.name, reason))
                imported.doubles += 1
            else:
                by_notes[piece.digest] = hashed.file.name
                _store_piece(columns, originals, len(imported.pieces), hashed.data, piece)
                imported.pieces.append(_describe(hashed, piece))
                for name, count in piece.counts.items():
                    counts[name] += count
            rate = done / max(time.monotonic() - began, 1e-3)
            reporter.progress(done=done, rate=rate, rate_unit="files/s", seconds_left=(source.total - done) / rate)
        if not imported.pieces:
            raise NothingUsableError(imported)
        reporter.progress(phase="storing notes")
        reporter.check()
        imported.splits = split_pieces(
            [piece.digest for piece in imported.pieces], [piece.known.split for piece in imported.pieces]
        )
        _store_corpus(store, imported, columns)
    imported.stored_bytes = store.size(imported.originals_key) + store.size(imported.corpus_key)
    totals = [
        PieceTotals(split, piece.notes_count, piece.events_count, piece.seconds)
        for piece, split in zip(imported.pieces, imported.splits, strict=True)
    ]
    imported.statistics = {**summarise(totals, counts), "skipped_files": source.skipped, "doubles": imported.doubles}
    return imported


@dataclass(frozen=True, slots=True)
class _Hashed:
    """A file with its digest; a double brings its reason and needs no reading."""

    file: SourceFile
    sha256: str
    data: bytes
    reason: str
    is_double: bool = False


def _without_doubles(source: Source) -> Iterator[_Hashed]:
    seen: dict[str, str] = {}
    for file in source.files():
        sha256 = hashlib.sha256(file.data).hexdigest()
        if file.reason:
            yield _Hashed(file, sha256, b"", file.reason)
        elif sha256 in seen:
            yield _Hashed(file, sha256, b"", f"It is the same file as {seen[sha256]}.", True)
        else:
            seen[sha256] = file.name
            yield _Hashed(file, sha256, file.data, "")


def _describe(hashed: _Hashed, piece: ReadPiece) -> ImportedPiece:
    return ImportedPiece(
        name=hashed.file.name,
        title=hashed.file.title,
        known=hashed.file.known,
        sha256=hashed.sha256,
        digest=piece.digest,
        notes_count=piece.notes,
        events_count=piece.events,
        seconds=piece.seconds,
        instruments=piece.instruments,
        dropped_drum_notes=piece.drums,
    )


def _store_piece(
    columns: Mapping[str, IO[bytes]], originals: zipfile.ZipFile, index: int, data: bytes, piece: ReadPiece
) -> None:
    for stream, values in zip(columns.values(), piece.columns, strict=True):
        stream.write(values)
    originals.writestr(zipfile.ZipInfo(original_name(index), _NO_DATE), data)


def _store_corpus(store: ArtifactStore, imported: Imported, columns: Mapping[str, IO[bytes]]) -> None:
    offsets: NDArray[np.int64] = np.cumsum([0, *(piece.notes_count for piece in imported.pieces)], dtype=np.int64)
    splits = np.array([SPLITS.index(split) for split in imported.splits], np.uint8)
    for stream in columns.values():
        stream.seek(0)
    with store.writer(imported.corpus_key) as target:
        write_corpus(target, columns, offsets, splits)
