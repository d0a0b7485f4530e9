"""The rows of an import: pieces, rejected files and the dataset's figures, written in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from core.datasets.importing import Imported
from core.datasets.names import clean_file_name, clean_text
from core.errors import ConflictError
from core.models.datasets import Dataset, Piece, Rejection
from core.records.database import announce

_LONGEST_REASON = 1_000


def record_import(session: Session, dataset_id: int, imported: Imported) -> None:
    """Make a dataset ready: everything that an import found, in place of what an earlier attempt may have left.

    Raises:
        ConflictError: the dataset was deleted.
    """
    dataset = _dataset(session, dataset_id)
    session.execute(delete(Piece).where(Piece.dataset_id == dataset_id))
    rows = [
        {
            "dataset_id": dataset_id,
            "index": index,
            "title": piece.title,
            "composer": piece.known.composer,
            "year": piece.known.year,
            "file_name": piece.name,
            "sha256": piece.sha256,
            "split": split,
            "notes_count": piece.notes_count,
            "seconds": piece.seconds,
            "instruments": piece.instruments,
            "dropped_drum_notes": piece.dropped_drum_notes,
        }
        for index, (piece, split) in enumerate(zip(imported.pieces, imported.splits, strict=True))
    ]
    session.execute(insert(Piece), rows)
    record_rejections(session, dataset_id, imported.rejected)
    dataset.content_hash = imported.content_hash
    dataset.pieces_count = len(imported.pieces)
    dataset.notes_count = sum(piece.notes_count for piece in imported.pieces)
    dataset.events_count = sum(piece.events_count for piece in imported.pieces)
    dataset.seconds = sum(piece.seconds for piece in imported.pieces)
    dataset.statistics = imported.statistics
    dataset.corpus_key = imported.corpus_key
    dataset.originals_key = imported.originals_key
    dataset.stored_bytes = imported.stored_bytes
    dataset.ready = True


def record_rejections(session: Session, dataset_id: int, rejected: Sequence[tuple[str, str]]) -> None:
    """List the files (name, reason) that an import could not use.

    Raises:
        ConflictError: the dataset was deleted.
    """
    dataset = _dataset(session, dataset_id)
    session.execute(delete(Rejection).where(Rejection.dataset_id == dataset_id))
    rows = [
        {
            "dataset_id": dataset_id,
            "file_name": clean_file_name(name),
            "reason": clean_text(reason, _LONGEST_REASON),
        }
        for name, reason in rejected
    ]
    if rows:
        session.execute(insert(Rejection), rows)
    dataset.rejected_count = len(rows)
    announce(session, f"dataset:{dataset_id}", "datasets")


def _dataset(session: Session, dataset_id: int) -> Dataset:
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise ConflictError(f"The dataset {dataset_id} was deleted while it was being imported.")
    return dataset
