"""Models: look up, rename, upload, download, delete."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.errors import CheckpointError, ConflictError, InputError, NotFoundError
from core.modeling.checkpoints import Checkpoint
from core.models.generations import Generation
from core.models.jobs import Job, JobState
from core.models.trainings import Model
from core.records.database import Database, announce
from core.services.keeping import ModelFiles, store_model_files
from core.services.lineage import link_like_its_copy
from core.services.measuring import job_measuring
from core.services.paging import Page, fetch_page
from core.services.rows import kept, locked, storable
from core.services.trainings import check_name


def find_models(session: Session, *, search: str = "", page: int = 1, per_page: int = 50) -> Page[Model]:
    """All models whose name contains `search`, the newest first."""
    statement = select(Model).order_by(Model.id.desc())
    if words := storable(search).strip():
        statement = statement.where(Model.name.icontains(words, autoescape=True))
    return fetch_page(session, statement, page=page, per_page=per_page)


def model_names(session: Session, model_ids: Sequence[int]) -> dict[int, str]:
    """The names of some models, by their numbers."""
    return {row.id: row.name for row in session.execute(select(Model.id, Model.name).where(Model.id.in_(model_ids)))}


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
    reference = storable(reference).strip()
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


def model_by_hash(session: Session, content_hash: str) -> Model | None:
    """The newest model with exactly this content, kept from being deleted until the transaction ends."""
    statement = select(Model.id).where(Model.content_hash == content_hash).order_by(Model.id.desc())
    for model_id in session.scalars(statement).all():
        if (model := kept(session, Model, model_id)) is not None:
            return model
    return None


def model_here(session: Session, generation: Generation) -> int | None:
    """The number of a generation's model, or of the newest other with the same content; None while there is none."""
    if generation.model_id is not None:
        return generation.model_id
    same = select(Model.id).where(Model.content_hash == generation.model_hash)
    return session.scalar(same.order_by(Model.id.desc()).limit(1))


def model_for(session: Session, generation: Generation) -> Model:
    """The model of a generation, or another with the same content, kept from being deleted meanwhile.

    Raises:
        ConflictError: it was deleted, and not uploaded again.
    """
    model = kept(session, Model, generation.model_id) if generation.model_id is not None else None
    model = model or model_by_hash(session, generation.model_hash)
    if model is None:
        raise ConflictError(f"The model {generation.model_name!r} was deleted; upload it again first.")
    return model


def stored_checkpoint(store: ArtifactStore, model: Model) -> Checkpoint:
    """A model's checkpoint, read from the store.

    Raises:
        CheckpointError: the stored file is damaged, or of another version; says how to come by a sound one.
        StorageError: it is gone.
    """
    try:
        return Checkpoint.from_bytes(store.read(model.checkpoint_key))
    except CheckpointError as error:
        again = "train it again" if model.origin == "trained" else "delete the model and add it again"
        raise CheckpointError(
            f"The stored file of the model {model.name!r} cannot be used. {error} Restore {model.checkpoint_key} from "
            f"a backup, or {again}."
        ) from None


def rename_model(session: Session, model_id: int, name: str) -> Model:
    """Give a model another name.

    Raises:
        NotFoundError: there is none of this number.
        InputError: too long.
    """
    model = locked(session, Model, model_id)
    if model is None:
        raise NotFoundError(f"There is no model {model_id}.")
    model.name = check_name(name, model.name)
    announce(session, f"model:{model.id}", "models")
    return model


def upload_model(database: Database, store: ArtifactStore, data: bytes, *, name: str, owner: str = "local") -> Model:
    """Add a model from a checkpoint file that `download` gave, here or elsewhere.

    Raises:
        CheckpointError: the file is damaged, of another version, or no checkpoint.
        InputError: the name is too long.
        StorageError: it cannot be stored.
    """
    checkpoint = Checkpoint.from_bytes(data)
    title = check_name(name, f"{checkpoint.family} {checkpoint.content_hash[:8]}")
    files = store_model_files(store, checkpoint, data, None)
    try:
        with database.transaction() as session:
            model = add_stored_model(session, files, name=title, owner=owner, origin="uploaded")
    except BaseException as error:
        files.delete_after(error, store)
        raise
    return model


def add_stored_model(
    session: Session, files: ModelFiles, *, name: str, owner: str, origin: str, dataset_name: str = ""
) -> Model:
    """Add the model of stored files from elsewhere; a copy of one that was trained here has the same training."""
    checkpoint = files.checkpoint
    model = Model(
        name=name,
        owner=owner,
        family=checkpoint.family,
        encoding=checkpoint.encoding,
        settings=checkpoint.family_settings.model_dump(mode="json"),
        figures=_plain_figures(checkpoint.figures),
        parameters=checkpoint.parameters,
        content_hash=checkpoint.content_hash,
        checkpoint_key=files.checkpoint_key,
        stored_bytes=files.size_bytes,
        origin=origin,
        dataset_name=dataset_name,
    )
    link_like_its_copy(session, model)
    session.add(model)
    session.flush()
    announce(session, "models")
    return model


def delete_model(database: Database, store: ArtifactStore, model_id: int) -> None:
    """Delete a model, its checkpoints, its evaluations and their takes; other takes of it stay.

    Raises:
        NotFoundError: there is no such model.
        ConflictError: a queued or running job uses it.
    """
    with database.exclusive() as session:
        # Locked first: a generation that is being queued at this moment is either seen below or finds no model.
        model = locked(session, Model, model_id)
        if model is None:
            raise NotFoundError(f"There is no model {model_id}.")
        using = (
            select(Job)
            .join(Generation, Generation.job_id == Job.id)
            .where(Generation.model_id == model.id, Job.state.in_([JobState.QUEUED, JobState.RUNNING]))
            .limit(1)
        )
        if job := session.scalar(using) or job_measuring(session, model_id=model.id):
            raise ConflictError(
                f"The model {model.name!r} is used by job {job.id} ({job.title}); cancel it or wait until it ends."
            )
        keys = {model.checkpoint_key, model.last_checkpoint_key} - {""}
        for column in (Model.checkpoint_key, Model.last_checkpoint_key):
            keys -= set(session.scalars(select(column).where(Model.id != model.id, column.in_(keys))))
        # Takes that were made only to measure it are in no list: nobody would ever find or delete them.
        measured = session.scalars(
            select(Generation).where(Generation.model_id == model.id, Generation.purpose != "")
        ).all()
        folders = [f"generations/{generation.id}/" for generation in measured]
        for generation in measured:
            session.delete(generation)
        session.delete(model)
        announce(session, f"model:{model_id}", "models")
    # Rows first: a death between the two leaves files without a row, which the sweep finds.
    for key in [*keys, *folders]:
        store.delete(key)


def _plain_figures(figures: dict[str, float]) -> dict[str, float]:
    """Figures that every database can hold; a stranger's file may hold anything."""
    return {storable(name)[:80]: value for name, value in list(figures.items())[:100] if math.isfinite(value)}
