"""Generations: submit, repeat, look up, rename, delete, and all takes as one zip."""

from __future__ import annotations

from apiflask.schemas import FileSchema
from flask import Response

from core.errors import InputError
from core.music.provenance import read_provenance
from core.operations.retention import note_downloads
from core.services import generations as service
from core.services.models import resolve_model
from core.services.primers import PrimerChoice
from core.services.repeating import repeat
from webui.api.answers import location, no_content, tell_workers
from webui.api.blueprint import api, file_input, sent_files
from webui.api.schemas.common import RenameInput
from webui.api.schemas.generations import (
    GenerationInput,
    GenerationListing,
    GenerationOutput,
    GenerationsQuery,
    ZipQuery,
)
from webui.context import current_services
from webui.identity import current_actor
from webui.row_numbers import LARGEST_NUMBER
from webui.submission import checked_placement
from webui.takes_zip import stream_takes

_ZIP = "application/zip"
Created = tuple[GenerationOutput, int, dict[str, str]]


@api.get("/generations")
@api.input(GenerationsQuery, location="query")
@api.output(GenerationListing)
def list_generations(query_data: GenerationsQuery) -> GenerationListing:
    """List generations, the newest first."""
    with current_services().database.reading() as session:
        page = service.find_generations(session, **query_data.model_dump())
        return GenerationListing.of(page, GenerationOutput.of)


@api.post("/generations")
@api.input(GenerationInput)
@api.output(GenerationOutput, status_code=202)
@api.doc(responses=[409])
def create_generation(json_data: GenerationInput) -> Created:
    """Compose: queue one take per seed and temperature."""
    services = current_services()
    primer = PrimerChoice.parse(json_data.primer)
    place = checked_placement(json_data.priority, json_data.start_at)
    with services.database.transaction() as session:
        generation = service.create_generation(
            session,
            services.store,
            model_id=resolve_model(session, str(json_data.model)).id,
            values=json_data.settings,
            primer=primer,
            name=json_data.name,
            owner=current_actor().name,
        )
        job = generation.job
        place.apply(session, job)
        answer = GenerationOutput.of(generation)
    tell_workers(job)
    return answer, 202, location("generations", generation.id)


@api.post("/generations/repeat")
@file_input("file", "A MIDI file that Cadenza wrote.")
@api.output(GenerationOutput, status_code=202)
@api.doc(responses=[409])
def repeat_generation() -> Created:
    """Repeat the take that an uploaded MIDI file describes: the same bytes once more."""
    services = current_services()
    provenance = read_provenance(sent_files("file")[0].stream.read())
    with services.database.transaction() as session:
        generation = repeat(session, services.store, provenance, current_actor().name)
        answer, job = GenerationOutput.of(generation), generation.job
    tell_workers(job)
    return answer, 202, location("generations", generation.id)


@api.get("/generations/<number:generation_id>")
@api.output(GenerationOutput)
def get_generation(generation_id: int) -> GenerationOutput:
    """Show a generation."""
    with current_services().database.reading() as session:
        return GenerationOutput.of(service.get_generation(session, generation_id))


@api.patch("/generations/<number:generation_id>")
@api.input(RenameInput)
@api.output(GenerationOutput)
def rename_generation(generation_id: int, json_data: RenameInput) -> GenerationOutput:
    """Rename a generation."""
    with current_services().database.transaction() as session:
        return GenerationOutput.of(service.rename_generation(session, generation_id, json_data.name))


@api.delete("/generations/<number:generation_id>")
@api.output({}, status_code=204)
@api.doc(responses=[409])
def delete_generation(generation_id: int) -> Response:
    """Delete a generation with all its takes; refused while it is queued or running."""
    services = current_services()
    service.delete_generation(services.database, services.store, generation_id)
    return no_content()


@api.get("/generations/<number:generation_id>/takes.zip")
@api.input(ZipQuery, location="query")
@api.output(FileSchema(type="string", format="binary"), content_type=_ZIP)
def download_takes(generation_id: int, query_data: ZipQuery) -> Response:
    """Download all takes, or the chosen ones, as one zip with a table of seeds, settings and measures."""
    services = current_services()
    ids = _numbers(query_data.ids)
    name, blocks = stream_takes(services.database, services.store, generation_id, ids)
    note_downloads(services.database, generation_id, ids)
    response = Response(blocks, mimetype=_ZIP)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _numbers(text: str) -> list[int] | None:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        if not (part.isascii() and part.isdigit() and 0 < int(part[:11]) <= LARGEST_NUMBER):
            raise InputError.of("ids", f"ids: {part[:40]!r} is no number of a take; write them as 3,4,9.")
    return [int(part) for part in parts] or None
