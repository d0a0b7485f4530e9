"""What made a model: its training, and the dataset that it was trained on. Whoever asks for them asks here."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, joinedload

from core.models.datasets import Dataset
from core.models.trainings import Model, Training
from core.ready.shipped import ready_model
from core.services.rows import kept

# Of models of which nobody here knows what made them.
_UNKNOWN = Model.training_id.is_(None), Model.dataset_id.is_(None), Model.dataset_hash == ""


def trained_on(session: Session, model_id: int) -> Dataset | None:
    """The dataset that a model was trained on; None when nobody here knows it, or the dataset is gone.

    In place of a deleted one, and for the shipped model, it is the newest import of the same music.
    """
    columns = select(Model.dataset_id, Model.dataset_hash, Model.content_hash).where(Model.id == model_id)
    found = session.execute(columns).one_or_none()
    if found is None:
        return None
    number, music, content_hash = found
    if number is not None and (dataset := session.get(Dataset, number)) is not None and dataset.ready:
        return dataset
    if not music and content_hash == ready_model().content_hash:
        music = ready_model().dataset_hash
    if not music:
        return None
    same_music = select(Dataset).where(Dataset.content_hash == music, Dataset.ready)
    return session.scalar(same_music.order_by(Dataset.id.desc()).limit(1))


def is_same_music(one: Dataset | None, other: Dataset | None) -> bool:
    """Whether two datasets are one, or imports of the same pieces in the same splits."""
    if one is None or other is None:
        return False
    return one.id == other.id or (bool(one.content_hash) and one.content_hash == other.content_hash)


def trainings_behind(session: Session, model_ids: Sequence[int]) -> dict[int, Training]:
    """The training that made each model, with its job, by the model; where none did, or it may not be seen, nothing."""
    statement = (
        select(Model.id, Training)
        .join(Training, Training.id == Model.training_id)
        .where(Model.id.in_(model_ids))
        .options(joinedload(Training.job))
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def link_to_training(session: Session, model: Model, training: Training, dataset: Dataset | None) -> None:
    """Say that a training on a dataset made a new model, and so each copy of it that came from elsewhere before.

    Args:
        session: of a transaction.
        model: added, with its content hash.
        training: locked.
        dataset: kept from being deleted; None when it is gone.
    """
    model.training_id = training.id
    if dataset is not None:
        model.dataset_id, model.dataset_name, model.dataset_hash = dataset.id, dataset.name, dataset.content_hash
    session.flush()
    copies = update(Model).where(Model.content_hash == model.content_hash, *_UNKNOWN)
    session.execute(
        copies.values(
            training_id=model.training_id,
            dataset_id=model.dataset_id,
            dataset_name=model.dataset_name,
            dataset_hash=model.dataset_hash,
        )
    )


def link_like_its_copy(session: Session, model: Model) -> None:
    """Let a model that comes from elsewhere know what a model of the same content knows here, if there is one."""
    known = select(Model).where(
        Model.content_hash == model.content_hash, or_(Model.training_id.is_not(None), Model.dataset_hash != "")
    )
    same = session.scalar(known.order_by(Model.id.desc()).limit(1))
    if same is None:
        return
    dataset = kept(session, Dataset, same.dataset_id) if same.dataset_id is not None else None
    model.training_id, model.dataset_id = same.training_id, dataset.id if dataset is not None else None
    model.dataset_name, model.dataset_hash = same.dataset_name, same.dataset_hash
