"""The model that comes with Cadenza, as one of an installation's models: there once somebody has asked for it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.modeling.checkpoints import Checkpoint
from core.models.trainings import Model
from core.ready.shipped import ready_checkpoint, ready_model
from core.records.database import Database
from core.services.keeping import store_model_files
from core.services.models import add_stored_model, model_by_hash

ORIGIN = "ready"
"""Of a model that came with Cadenza."""


def find_ready_model(session: Session) -> Model | None:
    """The shipped model, if it is among the models; also a copy that somebody uploaded."""
    return model_by_hash(session, ready_model().content_hash)


def add_ready_model(database: Database, store: ArtifactStore, owner: str = "local") -> tuple[Model, bool]:
    """Put the shipped model among the models, unless it is there; the model, and whether it was added now.

    Two who ask at once get the same model.

    Raises:
        StorageError: it cannot be stored.
    """
    with database.transaction() as session:
        if (model := find_ready_model(session)) is not None:
            return model, False
    ready, data = ready_model(), ready_checkpoint()
    files = store_model_files(store, Checkpoint.from_bytes(data), data, None)
    try:
        # One at a time: of two who ask at once the second finds the model of the first.
        with database.exclusive() as session:
            present = find_ready_model(session)
            model = present or add_stored_model(
                session, files, name=ready.name, owner=owner, origin=ORIGIN, dataset_name=ready.dataset_name
            )
    except BaseException as error:
        files.delete_after(error, store)
        raise
    if present is not None:
        files.delete(store)
    return model, present is None
