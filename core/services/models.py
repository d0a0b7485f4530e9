"""Models: look up, rename, upload, download, delete."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.errors import ConflictError, InputError, NotFoundError
from core.modeling.checkpoints import Checkpoint
from core.models.generations import Generation
from core.models.jobs import Job, JobState
from core.models.trainings import Model
from core.records.database import Database, announce
from core.services.paging import Page, fetch_page
from core.services.trainings import check_name


def find_models(session: Session, *, search: str = "", page: int = 1, per_page: int = 50) -> Page[Model]:
    """All models whose name contains `search`, the newest first."""
    statement = select(Model).order_by(Model.id.desc())
    if search.strip():
        statement = statement.where(Model.name.icontains(search.strip(), autoescape=True))
    return fetch_page(session, statement, page=page, per_page=per_page)


def get_model(session: Session, model_id: int) -> Model:
    """One model.

    Raises:
        NotFoundError: there is none of this number.
    """
    model = session.get(Model, model_id)
    if model is None:
        raise NotFoundError(f"There is no model {model_id}.")
    return model


def resolve_model(session: Session, reference: str) -> Model:
    """The model that a person means by a number, a name or the start of its content hash (8 characters or more).

    Raises:
        InputError: none or several fit.
    """
    reference = reference.strip()
    if (
        reference.isascii()
        and reference.isdigit()
        and len(reference) < 10
        and (model := session.get(Model, int(reference)))
    ):
        return model
    found = list(session.scalars(select(Model).where(Model.name == reference).order_by(Model.id.desc()).limit(2)))
    if not found and len(reference) >= 8:
        by_hash = select(Model).where(Model.content_hash.startswith(reference.lower(), autoescape=True))
        # Equal content makes equal music, so any of several copies will do.
        found = list(session.scalars(by_hash.order_by(Model.id.desc()).limit(1)))
    if not found:
        raise InputError.of(
            "model", f"model: {reference[:80]!r} is unknown; give a model's number, name or content hash."
        )
    if len(found) > 1:
        raise InputError.of("model", f"model: several models are named {reference[:80]!r}; give the model's number.")
    return found[0]


def rename_model(session: Session, model_id: int, name: str) -> Model:
    """Give a model another name."""
    model = get_model(session, model_id)
    model.name = check_name(name, model.name)
    announce(session, f"model:{model.id}", "models")
    return model


def upload_model(database: Database, store: ArtifactStore, data: bytes, *, name: str, owner: str = "local") -> Model:
    """Add a model from a checkpoint file that `download` gave, here or elsewhere.

    Raises:
        CheckpointError: the file is damaged, of another version, or no checkpoint.
    """
    checkpoint = Checkpoint.from_bytes(data)
    key = f"models/{checkpoint.content_hash}/uploaded.cadenza"
    store.write(key, data)
    with database.transaction() as session:
        model = Model(
            name=check_name(name, f"{checkpoint.family} {checkpoint.content_hash[:8]}"),
            owner=owner,
            family=checkpoint.family,
            encoding=checkpoint.encoding,
            settings=checkpoint.settings,
            figures=dict(checkpoint.figures),
            parameters=sum(int(weights.size) for weights in checkpoint.weights.values()),
            content_hash=checkpoint.content_hash,
            checkpoint_key=key,
            origin="uploaded",
        )
        session.add(model)
        session.flush()
        announce(session, "models")
    return model


def delete_model(database: Database, store: ArtifactStore, model_id: int) -> None:
    """Delete a model and its checkpoints; its takes stay.

    Raises:
        NotFoundError: there is no such model.
        ConflictError: a queued or running job uses it.
    """
    with database.exclusive() as session:
        model = get_model(session, model_id)
        using = (
            select(Job)
            .join(Generation, Generation.job_id == Job.id)
            .where(Generation.model_id == model.id, Job.state.in_([JobState.QUEUED, JobState.RUNNING]))
            .limit(1)
        )
        if job := session.scalar(using):
            raise ConflictError(
                f"The model {model.name!r} is used by job {job.id} ({job.title}); cancel it or wait until it ends."
            )
        keys = [key for key in (model.checkpoint_key, model.last_checkpoint_key) if key]
        shared = set(session.scalars(select(Model.checkpoint_key).where(Model.id != model.id)))
        session.delete(model)
        announce(session, f"model:{model_id}", "models")
    for key in keys:
        if key not in shared:
            store.delete(key)
