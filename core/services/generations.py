"""Generations: submit, repeat, ask for more, look up, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from core.artifacts import ArtifactStore
from core.errors import ConflictError, InputError, NotFoundError
from core.models.datasets import Dataset
from core.models.generations import Generation
from core.models.jobs import Job, JobKind, JobState, Queue
from core.models.trainings import Model
from core.queue.enqueue import enqueue
from core.records.database import Database, announce
from core.sampling.seeds import format_seeds, parse_seeds
from core.sampling.settings import MOST_TAKES, GenerationSettings, SharedSettings
from core.services.paging import Page, fetch_page
from core.services.primers import PrimerChoice, resolve_primer
from core.services.rows import kept, locked, storable
from core.services.trainings import check_name

# A tile is what one worker takes at a time: long enough to be efficient, short enough to be fair to others.
_TILE_NOTES = 50_000
_BLOCK = 16
_LARGEST_TILE = 256
_ASSUMED_NOTES_PER_SECOND = 10


def create_generation(
    session: Session,
    store: ArtifactStore,
    *,
    model_id: int,
    values: Mapping[str, Any],
    primer: PrimerChoice | None = None,
    name: str = "",
    owner: str = "local",
) -> Generation:
    """Queue one take per seed and temperature.

    Raises:
        InputError: a setting outside its range, an unknown model, a primer that cannot be used, too many takes.
    """
    generation = plan_generation(
        session, store, model_id=model_id, values=values, primer=primer, name=name, owner=owner
    )
    settings = GenerationSettings.model_validate(generation.settings)
    total, tile = generation.takes_total, tile_size(settings)
    job = enqueue(
        session,
        kind=JobKind.GENERATION,
        queue=Queue.GENERATION,
        title=generation.name,
        owner=owner,
        payloads=[
            {"generation_id": generation.id, "first": first, "count": min(tile, total - first)}
            for first in range(0, total, tile)
        ],
        request={"subject": "generation", "subject_id": generation.id, "model_id": model_id},
        work=total * notes_of(settings),
        progress_total=total,
        progress_unit="takes",
    )
    generation.job_id = job.id
    announce(session, "generations")
    return generation


def plan_generation(
    session: Session,
    store: ArtifactStore,
    *,
    model_id: int,
    values: Mapping[str, Any],
    primer: PrimerChoice | None = None,
    name: str = "",
    owner: str = "local",
    purpose: str = "",
) -> Generation:
    """A generation with its whole plan and primer, and no job yet.

    Raises:
        InputError: as `create_generation` says.
    """
    if "primer" in values:
        raise InputError.of("primer", "primer: name it as a choice of its own (kind, piece_id, upload_id, notes).")
    model = kept(session, Model, model_id)
    if model is None:
        raise InputError.of("model_id", f"model_id: there is no model {model_id}; choose one from the list.")
    settings = GenerationSettings.parse(values)
    # "32 random" is drawn once, here, so that the generation can be repeated.
    settings = settings.model_copy(update={"seeds": format_seeds(parse_seeds(settings.seeds))})
    plan = settings.plan()
    if len(plan) > MOST_TAKES:
        raise InputError.of(
            "seeds", f"seeds: {len(plan):,} takes are refused; allowed is 1 to {MOST_TAKES:,} in one generation."
        )
    resolved = resolve_primer(session, store, primer or PrimerChoice(), model)
    if resolved is not None:
        settings = settings.model_copy(update={"primer": resolved.settings})
    title = check_name(name, f"{len(plan):,} {'take' if len(plan) == 1 else 'takes'} by {model.name}"[:200])
    generation = Generation(
        model_id=model.id,
        model_name=model.name,
        model_hash=model.content_hash,
        name=title,
        owner=owner,
        settings=settings.model_dump(mode="json"),
        primer_key=resolved.key if resolved else "",
        primer_title=resolved.title if resolved else "",
        takes_total=len(plan),
        purpose=purpose,
    )
    session.add(generation)
    session.flush()
    return generation


def tile_size(settings: SharedSettings) -> int:
    """How many takes one unit makes: whole blocks, about `_TILE_NOTES` notes, at most `_LARGEST_TILE`."""
    blocks = int(_TILE_NOTES / notes_of(settings) / _BLOCK)
    return min(max(blocks, 1) * _BLOCK, _LARGEST_TILE)


def notes_of(settings: SharedSettings) -> float:
    """About how many notes a take has, at least 1."""
    notes = settings.length if settings.length_unit == "notes" else settings.length * _ASSUMED_NOTES_PER_SECOND
    return max(float(notes), 1.0)


def get_generation(session: Session, generation_id: int) -> Generation:
    """One generation with its job.

    Raises:
        NotFoundError: there is none of this number.
    """
    statement = (
        select(Generation)
        .where(Generation.id == generation_id)
        .options(joinedload(Generation.job), joinedload(Generation.model))
    )
    generation = session.scalar(statement)
    if generation is None:
        raise NotFoundError(f"There is no generation {generation_id}.")
    return generation


def find_generations(
    session: Session, *, search: str = "", model_id: int | None = None, page: int = 1, per_page: int = 50
) -> Page[Generation]:
    """All generations whose name contains `search`, the newest first; without those made for evaluations."""
    statement = (
        select(Generation)
        .where(Generation.purpose == "")
        .options(joinedload(Generation.job), joinedload(Generation.model))
        .order_by(Generation.id.desc())
    )
    if words := storable(search).strip():
        statement = statement.where(Generation.name.icontains(words, autoescape=True))
    if model_id is not None:
        statement = statement.where(Generation.model_id == model_id)
    return fetch_page(session, statement, page=page, per_page=per_page)


def rename_generation(session: Session, generation_id: int, name: str) -> Generation:
    """Give a generation another name."""
    generation = locked(session, Generation, generation_id)
    if generation is None:
        raise NotFoundError(f"There is no generation {generation_id}.")
    generation.name = check_name(name, generation.name)
    announce(session, f"generation:{generation.id}", "generations")
    return generation


def delete_generation(database: Database, store: ArtifactStore, generation_id: int) -> None:
    """Delete a generation with all its takes and their files.

    Raises:
        NotFoundError: there is none of this number.
        ConflictError: it is queued or running, or a queued or running job uses its takes; the message names the job.
    """
    with database.exclusive() as session:
        # Locked first: a retry that is being queued at this moment is either seen below or finds no generation.
        generation = locked(session, Generation, generation_id)
        if generation is None:
            raise NotFoundError(f"There is no generation {generation_id}.")
        if generation.job is not None and not generation.job.state.is_final:
            raise ConflictError(
                f"The generation {generation.name!r} is {generation.job.state.value}; "
                f"cancel job {generation.job.id} first."
            )
        if job := job_using_takes(session, generation_id):
            raise ConflictError(
                f"The takes of {generation.name!r} are used by job {job.id} ({job.title}); "
                "cancel it or wait until it ends."
            )
        session.delete(generation)
        announce(session, f"generation:{generation_id}", "generations")
    # Rows first: a file without a row is rubbish that can be swept, a row without its file would be a lost take.
    store.delete(f"generations/{generation_id}/")


def job_using_takes(session: Session, generation_id: int) -> Job | None:
    """A queued or running job that reads takes of the generation: an import, an evaluation, or the rendering of one."""
    active = Job.state.in_([JobState.QUEUED, JobState.RUNNING])
    source = Dataset.source["settings"]
    importing = (
        select(Job)
        .join(Dataset, Dataset.job_id == Job.id)
        .where(active, source["source"].as_string() == "takes", source["generation_id"].as_integer() == generation_id)
    )
    rendering = select(Job).where(
        active,
        Job.kind.in_([JobKind.AUDIO, JobKind.EVALUATION]),
        Job.request["generation_id"].as_integer() == generation_id,
    )
    return session.scalar(importing.limit(1)) or session.scalar(rendering.limit(1))
