"""Searching takes for copies of training pieces: one take that somebody asked about, and what evaluations need."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from core.datasets.corpus import Corpus
from core.errors import ConflictError
from core.kept import Kept
from core.models.datasets import Dataset, Piece
from core.models.evaluations import SharedPassage
from core.services.given import composed_part, given_notes
from core.services.originality import Originality, Told, open_originality, passage_of, pieces_used, store_passages
from core.services.takes import get_take, take_notes
from worker.unit_context import UnitContext

_KEPT = 2

# What this process has opened, by the dataset and how many of its pieces: the next take is searched in milliseconds.
_opened = Kept[Originality](_KEPT)


def search_take(context: UnitContext) -> None:
    """Hold the unit's one take against the training pieces of its model.

    Raises:
        NotFoundError: the take was deleted.
        ConflictError: the dataset or the model was deleted.
        StorageError: a file is gone, or the store refuses.
        UnitInterrupted: the unit shall stop.
    """
    with context.database.reading() as session:
        take = get_take(session, int(context.payload["take_id"]))
        dataset = session.get(Dataset, int(context.payload["dataset_id"]))
        model = take.generation.model
        used = pieces_used(model, dataset) if dataset is not None else 0
    if dataset is None:
        raise ConflictError("The dataset that this take would be held against was deleted.")
    if model is None:
        raise ConflictError("The model of this take was deleted, so nobody knows on which pieces it was trained.")
    context.progress(phase="opening the index")

    def told(phase: str, done: int, total: int) -> None:
        context.progress(phase=phase, done=done, total=total, unit="pieces")
        context.check()

    originality = opened(
        context, dataset, lambda: Corpus.from_bytes(context.store.read(dataset.corpus_key)), told, used
    )
    composed = composed_part(take_notes(context.store, take), given_notes(context.store, take.generation))
    row = passage_of(originality, take, composed, dataset.id, piece_ids(context, dataset.id))
    store_found(context, [row])


def opened(context: UnitContext, dataset: Dataset, corpus: Callable[[], Corpus], told: Told, used: int) -> Originality:
    """The index of a dataset's first `used` training pieces, 0 for all, from memory where it was opened just before."""
    return _opened.of((dataset.corpus_key, used), lambda: open_originality(context.store, dataset, corpus, told, used))


def piece_ids(context: UnitContext, dataset_id: int) -> dict[int, int]:
    """Each piece's number by its index in the dataset."""
    with context.database.reading() as session:
        rows = session.execute(select(Piece.index, Piece.id).where(Piece.dataset_id == dataset_id))
        return {row[0]: row[1] for row in rows}


def store_found(context: UnitContext, rows: list[SharedPassage]) -> None:
    """Keep what was found of some takes."""
    with context.transaction() as session:
        store_passages(session, rows)
        context.mark_progressed(session)
