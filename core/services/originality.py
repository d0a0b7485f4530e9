"""What takes share with training pieces: the index of a dataset, stored once, and each take's longest passage."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, joinedload

from core.artifacts import ArtifactStore
from core.datasets.corpus import Corpus
from core.errors import ConflictError, StorageError
from core.evaluation.originality import INDEX_VERSION, VERSION, longest_shared
from core.evaluation.passages import PassageIndex
from core.evaluation.unrelated import Unrelated, unrelated_passages
from core.models.datasets import Dataset
from core.models.evaluations import SharedPassage
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobKind, JobState, Queue
from core.models.trainings import Model
from core.music.notes import Notes
from core.queue.enqueue import enqueue
from core.records.database import announce
from core.services.lineage import is_same_music, trained_on
from core.services.rows import locked
from core.services.takes import get_take

Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Originality:
    """A dataset's training pieces in a form that can be searched, and what unrelated pieces share with them."""

    index: PassageIndex
    unrelated: Unrelated


def index_keys(corpus_key: str, files: int = 0) -> tuple[str, str]:
    """Where a dataset's index and what unrelated pieces share are kept: beside its notes, from which they are made.

    Models that were trained on other parts of a dataset have each an index of their own; `files` as `pieces_used` says.
    """
    folder = corpus_key.rpartition("/")[0]
    part = f"{INDEX_VERSION}-first-{files}" if files else f"{INDEX_VERSION}"
    return f"{folder}/passages-{part}.npz", f"{folder}/unrelated-{part}.json"


def pieces_used(model: Model | None, dataset: Dataset) -> int:
    """The first so many training pieces of a dataset are those that a model was trained on.

    0 stands for all of them, also where it was trained on another dataset, or nobody here knows on which. So it does
    for another import of the same music, whose pieces may have another order.
    """
    files = int(model.settings.get("files", 0)) if model is not None else 0
    if model is None or not files or model.dataset_id != dataset.id:
        return 0
    train = dataset.statistics.get("splits", {}).get("train", {}).get("pieces", 0)
    return files if files < train else 0


def open_originality(
    store: ArtifactStore,
    dataset: Dataset,
    corpus: Callable[[], Corpus],
    told: Told = lambda *_: None,
    files: int = 0,
) -> Originality:
    """The stored index of a dataset's training pieces, or of the first `files` of them.

    It is built and stored first where there is none, or a damaged or older one.

    Args:
        store: where it is kept, beside the dataset's notes.
        dataset: imported.
        corpus: gives the dataset's notes, asked only when the index must be built.
        told: called with the phase, what is done and what there is to do; may raise to interrupt.
        files: as `pieces_used` gives it.

    Raises:
        StorageError: the store refuses.
    """
    index_key, words_key = index_keys(dataset.corpus_key, files)
    if store.exists(index_key) and store.exists(words_key):
        try:
            stored = Unrelated.from_json(json.loads(store.read(words_key)))
            return Originality(PassageIndex.from_bytes(store.read(index_key)), stored)
        except (StorageError, ValueError, KeyError, TypeError):
            pass  # whatever it was, it is made anew
    notes = corpus()
    pieces = notes.training_pieces(files)
    told("indexing the training pieces", 0, len(pieces))
    index = PassageIndex.build(list(pieces.values()), list(pieces))
    unrelated = unrelated_passages(
        list(notes.pieces("validation")),
        index,
        pieces,
        lambda done, total: told("comparing unrelated pieces", done, total),
    )
    store.write(index_key, index.to_bytes())
    store.write(words_key, json.dumps(unrelated.as_json()).encode())
    return Originality(index, unrelated)


def stored_unrelated(store: ArtifactStore, dataset: Dataset, files: int = 0) -> Unrelated | None:
    """What unrelated pieces share with a dataset's first `files` training pieces, if it has been looked up already."""
    try:
        return Unrelated.from_json(json.loads(store.read(index_keys(dataset.corpus_key, files)[1])))
    except (StorageError, ValueError, KeyError, TypeError):
        return None


def passage_of(
    originality: Originality, take: Take, notes: Notes, dataset_id: int, piece_ids: dict[int, int]
) -> SharedPassage:
    """A take's longest shared passage as its row.

    Args:
        originality: of the dataset.
        take: whose passage it is.
        notes: those of the take that its model composed, at their times in the whole take.
        dataset_id: of the dataset.
        piece_ids: a piece's number by its index in the dataset.
    """
    shared = longest_shared(notes, originality.index)
    threshold = originality.unrelated.threshold(len(notes))
    row = SharedPassage(
        take_id=take.id, dataset_id=dataset_id, notes=0, threshold=threshold, flagged=False, version=VERSION
    )
    if shared is not None:
        row.notes, row.flagged, row.piece_id = shared.notes, shared.notes >= threshold, piece_ids.get(shared.piece)
        row.take_begin_seconds, row.take_end_seconds = shared.take_seconds
        row.piece_begin_seconds, row.piece_end_seconds = shared.piece_seconds
        row.transposition, row.tempo = shared.transposition, shared.tempo
    return row


def store_passages(session: Session, rows: Sequence[SharedPassage]) -> None:
    """Keep what was found of takes, in place of what was known of them and these datasets; deleted takes fall out.

    The takes are locked, in the order of their numbers: of two evaluations that search the same takes the second waits,
    and replaces what the first has stored.
    """
    wanted = select(Take.id).where(Take.id.in_([row.take_id for row in rows]))
    alive = set(session.scalars(wanted.order_by(Take.id).with_for_update()))
    session.execute(
        delete(SharedPassage).where(
            SharedPassage.take_id.in_(alive), SharedPassage.dataset_id.in_({row.dataset_id for row in rows})
        )
    )
    session.add_all([row for row in rows if row.take_id in alive])
    announce(session, *(f"take:{number}" for number in sorted(alive)))


def passages_of(session: Session, take_id: int) -> list[SharedPassage]:
    """What is known of a take: flagged passages first, then the longest, each with its piece and dataset."""
    statement = (
        select(SharedPassage)
        .where(SharedPassage.take_id == take_id)
        .options(joinedload(SharedPassage.piece), joinedload(SharedPassage.dataset))
    )
    # One for each dataset that the take was held against: few, so they need no index for their order.
    return sorted(
        session.scalars(statement), key=lambda passage: (not passage.flagged, -passage.notes, passage.dataset_id)
    )


def copies_among(session: Session, take_ids: Sequence[int]) -> dict[int, SharedPassage]:
    """Of takes that are flagged as copies the longest flagged passage with its piece, by the take's number."""
    statement = (
        select(SharedPassage)
        .where(SharedPassage.take_id.in_(take_ids), SharedPassage.flagged)
        .options(joinedload(SharedPassage.piece))
    )
    # Few datasets have flagged one take, so they need no index for their order.
    ascending = sorted(session.scalars(statement), key=lambda passage: (passage.notes, -passage.dataset_id))
    return {passage.take_id: passage for passage in ascending}


def count_searched(session: Session, generation_id: int) -> int:
    """How many takes of a generation were held against any training pieces."""
    searched = select(SharedPassage.take_id).join(Take).where(Take.generation_id == generation_id).distinct()
    return session.scalar(select(func.count()).select_from(searched.subquery())) or 0


def is_current(passage: SharedPassage) -> bool:
    """Whether the passage was searched as it would be today; an older one may have missed a longer one."""
    return passage.version == VERSION


def request_originality(session: Session, take_id: int, owner: str = "local") -> Job | None:
    """Queue the search for a take's longest shared passage; None when it is known already.

    Raises:
        NotFoundError: there is no such take.
        ConflictError: nobody here knows on what its model was trained, or that dataset was deleted.
    """
    # Locked: of two who ask at once the second finds the job of the first.
    locked(session, Take, take_id)
    take = get_take(session, take_id)
    dataset = dataset_behind(session, take.generation)
    if dataset is None:
        raise ConflictError(
            "The training pieces of this take's model are not here: it was trained elsewhere, or its dataset was "
            "deleted. Evaluate the model on a dataset to hold its takes against that one."
        )
    if any(is_same_music(row.dataset, dataset) and is_current(row) for row in passages_of(session, take_id)):
        return None
    under_way = select(Job).where(
        Job.state.in_([JobState.QUEUED, JobState.RUNNING]),
        Job.kind == JobKind.EVALUATION,
        Job.request["subject"].as_string() == "take",
        Job.request["subject_id"].as_integer() == take.id,
    )
    if job := session.scalar(under_way.order_by(Job.id.desc()).limit(1)):
        return job
    job = enqueue(
        session,
        kind=JobKind.EVALUATION,
        queue=Queue.LIGHT,
        title=f"Search for copies in seed {take.seed} of {take.generation.name}"[:200],
        owner=owner,
        payloads=[{"take_id": take.id, "dataset_id": dataset.id}],
        request={
            "subject": "take",
            "subject_id": take.id,
            "generation_id": take.generation_id,
            "dataset_id": dataset.id,
        },
        priority=1,
    )
    announce(session, f"take:{take.id}")
    return job


def dataset_behind(session: Session, generation: Generation) -> Dataset | None:
    """The dataset that a generation's model was trained on, if it is here."""
    return trained_on(session, generation.model_id) if generation.model_id is not None else None
