"""Making a model of what a training has reached: at its end, or when a person keeps the best of a cancelled one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.errors import ConflictError, NotFoundError, StorageError
from core.modeling.checkpoints import Checkpoint
from core.models.datasets import Dataset
from core.models.trainings import Model, Training
from core.records.database import Database, announce
from core.services.evaluations import evaluate_after_training
from core.services.lineage import link_to_training
from core.services.rows import kept, locked
from core.services.trainings import get_training

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's checkpoints as stored, under keys that no other model shares."""

    checkpoint: Checkpoint
    checkpoint_key: str
    last_checkpoint_key: str
    size_bytes: int

    def delete(self, store: ArtifactStore) -> None:
        """Remove them, when no row came to point at them."""
        for key in filter(None, (self.checkpoint_key, self.last_checkpoint_key)):
            store.delete(key)

    def delete_after(self, error: BaseException, store: ArtifactStore) -> None:
        """Remove them after a transaction that failed; the database's own errors leave them to the sweep.

        A connection that broke may have lost only the answer to a commit, and then the rows are there.
        """
        if not isinstance(error, DBAPIError):
            self.delete(store)


def store_model_files(store: ArtifactStore, checkpoint: Checkpoint, best: bytes, last: bytes | None) -> ModelFiles:
    """Store a model's checkpoints before any row speaks of them; large files take no lock of the database this way.

    Raises:
        StorageError: the store refuses (disk full).
    """
    own = f"models/{checkpoint.content_hash}/{secrets.token_hex(6)}"
    files = ModelFiles(
        checkpoint, f"{own}.cadenza", f"{own}-last.cadenza" if last is not None else "", len(best) + len(last or b"")
    )
    try:
        store.write(files.checkpoint_key, best)
        if last is not None:
            store.write(files.last_checkpoint_key, last)
    except BaseException:
        files.delete(store)
        raise
    return files


def locked_training(session: Session, training_id: int) -> tuple[Training, Dataset | None]:
    """A training, kept from all other writers, and its dataset, kept from being deleted, until the transaction ends.

    Raises:
        NotFoundError: there is no such training.
    """
    # The dataset first: whoever deletes it holds it while the trainings on it are told.
    number = session.scalar(select(Training.dataset_id).where(Training.id == training_id))
    dataset = kept(session, Dataset, number) if number is not None else None
    training = locked(session, Training, training_id)
    if training is None:
        raise NotFoundError(f"There is no training {training_id}.")
    return training, dataset


def add_training_model(
    session: Session, training: Training, dataset: Dataset | None, files: ModelFiles
) -> tuple[Model, bool]:
    """Add a model of a locked training, unless that very one is there (drop the files then); whether it was added."""
    checkpoint = files.checkpoint
    if (present := _model_of(session, training, checkpoint.content_hash)) is not None:
        present.figures = {**present.figures, **checkpoint.figures}
        return present, False
    model = Model(
        name=training.name,
        owner=training.owner,
        family=checkpoint.family,
        encoding=checkpoint.encoding,
        settings=checkpoint.settings,
        figures=dict(checkpoint.figures),
        parameters=checkpoint.parameters,
        content_hash=checkpoint.content_hash,
        checkpoint_key=files.checkpoint_key,
        last_checkpoint_key=files.last_checkpoint_key,
        stored_bytes=files.size_bytes,
    )
    session.add(model)
    link_to_training(session, model, training, dataset)
    announce(session, f"training:{training.id}", "models")
    return model, True


def keep_model(database: Database, store: ArtifactStore, training_id: int) -> Model:
    """Make a model of a training's best checkpoint so far; the one that is there, if that is it.

    May be called at any time, by several at once too. A training that goes on afterwards makes a model of its own, and
    is evaluated then; of one that has ended before (cancelled, failed) the evaluation follows here.

    Raises:
        NotFoundError: there is no such training.
        ConflictError: there is no checkpoint yet.
        StorageError: the checkpoint cannot be read, or the model not stored.
    """
    best, last = _read_checkpoints(database, store, training_id)
    files = store_model_files(store, Checkpoint.from_bytes(best), best, last)
    try:
        with database.transaction() as session:
            training, dataset = locked_training(session, training_id)
            model, added = add_training_model(session, training, dataset, files)
            # Also of one that was kept before the training was cancelled or failed: nothing followed then.
            if training.job is None or training.job.state.is_final:
                evaluate_after_training(session, store, training, model)
    except BaseException as error:
        files.delete_after(error, store)
        raise
    if not added:
        files.delete(store)
    return model


def _model_of(session: Session, training: Training, content_hash: str) -> Model | None:
    """The newest model of this content that a training made, kept from being deleted meanwhile."""
    own = (Model.training_id == training.id, Model.origin == "trained", Model.content_hash == content_hash)
    for number in session.scalars(select(Model.id).where(*own).order_by(Model.id.desc())).all():
        if (model := kept(session, Model, number)) is not None:
            return model
    return None


def _read_checkpoints(database: Database, store: ArtifactStore, training_id: int) -> tuple[bytes, bytes | None]:
    for attempt in range(1, _ATTEMPTS + 1):
        with database.reading() as session:
            training = get_training(session, training_id)
        if not training.best_key:
            raise ConflictError(
                f"The training {training.name!r} has no checkpoint yet; let it run until its first one."
            )
        try:
            return store.read(training.best_key), store.read(training.last_key) if training.last_key else None
        except StorageError:
            # A training that runs puts new checkpoints in the place of old ones: look at its row again.
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")
