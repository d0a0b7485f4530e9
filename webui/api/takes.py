"""Takes: list, download, star, annotate, render as audio, ask for more, repeat."""

from __future__ import annotations

from apiflask.schemas import FileSchema
from flask import Response
from sqlalchemy.orm import Session

from core.errors import NotFoundError
from core.models.jobs import Job
from core.operations.retention import note_downloads
from core.services import generations as generations_service
from core.services import repeating
from core.services import takes as service
from core.services.given import given_count
from core.services.originality import copies_among, dataset_behind, passages_of, request_originality
from webui.access import names_others
from webui.api.answers import MIDI, bytes_answer, location, stored_answer, tell_workers
from webui.api.blueprint import api
from webui.api.schemas.datasets import NotesOutput
from webui.api.schemas.evaluations import OriginalityOutput, PassageOutput
from webui.api.schemas.generations import (
    AudioInput,
    AudioOutput,
    AudioQuery,
    BranchInput,
    GenerationOutput,
    MoreInput,
    TakeListing,
    TakeOutput,
    TakePatch,
    TakesQuery,
)
from webui.api.schemas.jobs import JobOutput
from webui.context import current_services
from webui.identity import current_actor

Created = tuple[GenerationOutput, int, dict[str, str]]


@api.get("/generations/<number:generation_id>/takes")
@api.input(TakesQuery, location="query")
@api.output(TakeListing)
def list_takes(generation_id: int, query_data: TakesQuery) -> TakeListing:
    """List the takes of a generation, filtered and sorted."""
    with current_services().database.reading() as session:
        generations_service.get_generation(session, generation_id)
        asked = query_data.model_dump()
        only = service.TakeFilter(**{name: asked.pop(name) for name in ("starred", "defect", "flagged")})
        page = service.find_takes(session, generation_id, only, **asked)
        copies = copies_among(session, [take.id for take in page.items])
        return TakeListing.of(page, lambda take: TakeOutput.of(take, copies))


@api.get("/takes/<number:take_id>")
@api.output(TakeOutput)
def get_take(take_id: int) -> TakeOutput:
    """Show a take with its measures."""
    with current_services().database.reading() as session:
        return TakeOutput.of(service.get_take(session, take_id), copies_among(session, [take_id]))


@api.patch("/takes/<number:take_id>")
@api.input(TakePatch)
@api.output(TakeOutput)
def change_take(take_id: int, json_data: TakePatch) -> TakeOutput:
    """Star a take or write a remark beside it."""
    with current_services().database.transaction() as session:
        take = service.get_take(session, take_id)
        if json_data.starred is not None:
            take = service.star_take(session, take_id, json_data.starred)
        if json_data.note is not None:
            take = service.annotate_take(session, take_id, json_data.note)
        return TakeOutput.of(take, copies_among(session, [take_id]))


@api.get("/takes/<number:take_id>/midi")
@api.output(FileSchema(type="string", format="binary"), content_type=MIDI)
def get_take_midi(take_id: int) -> Response:
    """Download a take as a MIDI file, which carries its seed, settings and model."""
    services = current_services()
    with services.database.reading() as session:
        take = service.get_take(session, take_id)
    note_downloads(services.database, take_ids=[take_id])
    return bytes_answer(services.store.read(take.midi_key), service.take_file_name(take), MIDI, take.sha256)


@api.get("/takes/<number:take_id>/notes")
@api.output(NotesOutput)
def get_take_notes(take_id: int) -> NotesOutput:
    """Give the notes of a take as columns."""
    services = current_services()
    with services.database.reading() as session:
        take = service.get_take(session, take_id)
    return NotesOutput.of(service.take_notes(services.store, take))


@api.post("/takes/<number:take_id>/audio")
@names_others
@api.input(AudioInput)
@api.output(AudioOutput, status_code=202, description="It is being rendered.")
@api.doc(responses={200: "It is ready.", 409: "A limit is reached; the message says which."})
def render_take(take_id: int, json_data: AudioInput) -> tuple[AudioOutput, int]:
    """Render a take as audio, unless it has been already."""
    services = current_services()
    with services.database.transaction() as session:
        job = service.request_audio(session, services.store, take_id, json_data.format, current_actor().name)
        answer = AudioOutput(ready=job is None, job=JobOutput.of(job) if job else None)
    tell_workers(job)
    return answer, 202 if job else 200


@api.get("/takes/<number:take_id>/audio")
@api.input(AudioQuery, location="query")
@api.output(FileSchema(type="string", format="binary"), content_type="audio/*")
def get_take_audio(take_id: int, query_data: AudioQuery) -> Response:
    """Download a take as audio, once it is rendered."""
    services = current_services()
    with services.database.reading() as session:
        take = service.get_take(session, take_id)
    key = service.audio_key(take, query_data.format)
    if not services.store.exists(key):
        raise NotFoundError(f"Take {take_id} is not rendered as {query_data.format} yet; ask for its audio first.")
    note_downloads(services.database, take_ids=[take_id])
    file_name = service.take_file_name(take, query_data.format)
    return stored_answer(key, file_name, service.AUDIO_FORMATS[query_data.format])


@api.get("/takes/<number:take_id>/originality")
@api.output(OriginalityOutput)
def get_take_originality(take_id: int) -> OriginalityOutput:
    """Show the longest passage that a take shares with a training piece, where that was searched."""
    with current_services().database.reading() as session:
        return _originality(session, take_id, None)


@api.post("/takes/<number:take_id>/originality")
@names_others
@api.output(OriginalityOutput, status_code=202, description="It is being searched.")
@api.doc(responses={200: "It is known.", 409: "The training pieces are not here."})
def search_take(take_id: int) -> tuple[OriginalityOutput, int]:
    """Search the training pieces for the longest passage that a take shares with one, unless that is known."""
    with current_services().database.transaction() as session:
        job = request_originality(session, take_id, current_actor().name)
        answer = _originality(session, take_id, job)
    tell_workers(job)
    return answer, 202 if job else 200


@api.post("/takes/<number:take_id>/more")
@names_others
@api.input(MoreInput)
@api.output(GenerationOutput, status_code=202)
@api.doc(responses=[409])
def more_like_take(take_id: int, json_data: MoreInput) -> Created:
    """Compose more takes like this one, with new random seeds."""
    services = current_services()
    with services.database.transaction() as session:
        generation = repeating.more_like(session, services.store, take_id, json_data.count, current_actor().name)
        answer, job = GenerationOutput.of(generation), generation.job
    return _created(answer, job)


@api.post("/takes/<number:take_id>/branch")
@names_others
@api.input(BranchInput)
@api.output(GenerationOutput, status_code=202)
@api.doc(responses=[409])
def branch_take(take_id: int, json_data: BranchInput) -> Created:
    """Compose takes that begin with the first notes of this one and go on in other ways, by random or given seeds."""
    services = current_services()
    with services.database.transaction() as session:
        generation = repeating.branch_take(
            session,
            services.store,
            take_id,
            json_data.note,
            count=json_data.count,
            seeds=json_data.seeds,
            length=json_data.length,
            owner=current_actor().name,
        )
        answer, job = GenerationOutput.of(generation), generation.job
    return _created(answer, job)


@api.post("/takes/<number:take_id>/repeat")
@names_others
@api.output(GenerationOutput, status_code=202)
@api.doc(responses=[409, 422])
def repeat_take(take_id: int) -> Created:
    """Compose this take once more: the same bytes."""
    services = current_services()
    with services.database.transaction() as session:
        generation = repeating.repeat_take(session, services.store, take_id, current_actor().name)
        answer, job = GenerationOutput.of(generation), generation.job
    return _created(answer, job)


def _originality(session: Session, take_id: int, job: Job | None) -> OriginalityOutput:
    generation = service.get_take(session, take_id).generation
    behind = dataset_behind(session, generation)
    passages = passages_of(session, take_id)
    return OriginalityOutput(
        ready=bool(passages) and job is None,
        given_notes=given_count(current_services().store, generation),
        items=[PassageOutput.of(passage, behind, generation.model) for passage in passages],
        job=JobOutput.of(job) if job else None,
    )


def _created(answer: GenerationOutput, job: Job | None) -> Created:
    tell_workers(job)
    return answer, 202, location("generations", answer.id)
