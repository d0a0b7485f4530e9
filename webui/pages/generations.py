"""Generations: the list, one generation with its takes, what is done with it; the form is a file of its own."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from core.errors import InputError
from core.models.generations import Generation
from core.music.names import PROGRAM_NAMES
from core.music.provenance import read_provenance
from core.operations.retention import note_downloads
from core.people.rights import Right
from core.queue.waiting import why_waiting
from core.sampling.settings import GenerationSettings
from core.services import generations as service
from core.services import repeating
from core.services.evaluations import evaluable_split
from core.services.originality import copies_among, count_searched, dataset_behind
from core.services.takes import ALL_TAKES, TAKE_ORDERS, TakeFilter, find_takes
from webui.access import names_others, needs
from webui.context import current_services
from webui.identity import current_actor
from webui.pages.answers import done, number_arg, page
from webui.submission import send_tickets_for
from webui.takes_zip import stream_takes
from webui.words import plural

bp = Blueprint("generations", __name__, url_prefix="/generations")

_SHOWN = {
    "starred": TakeFilter(starred=True),
    "sound": TakeFilter(defect=False),
    "defects": TakeFilter(defect=True),
    "copies": TakeFilter(flagged=True),
}
_LARGEST_PROVENANCE_FILE = 16 * 2**20


@bp.get("")
def index() -> Response:
    """All generations."""
    search = request.args.get("search", "")
    with current_services().database.reading() as session:
        found = service.find_generations(session, search=search, page=number_arg("page"), per_page=25)
        return page("generations/index.html", found=found, search=search)


@bp.post("/repeat")
def repeat() -> ResponseReturnValue:
    """Queue again the take that an uploaded Cadenza MIDI carries in itself."""
    services = current_services()
    file = request.files.get("file")
    if file is None or not file.filename:
        raise InputError.of("file", "file: no MIDI file was chosen; choose one that Cadenza made.")
    provenance = read_provenance(file.stream.read(_LARGEST_PROVENANCE_FILE))
    with services.database.transaction() as session:
        generation = repeating.repeat(session, services.store, provenance, current_actor().name)
    return queued(generation)


@bp.get("/<number:generation_id>")
def show(generation_id: int) -> Response:
    """One generation: progress and a page of its takes."""
    sort, shown = request.args.get("sort", "index"), request.args.get("show", "")
    descending = request.args.get("order") == "desc"
    with current_services().database.reading() as session:
        generation = service.get_generation(session, generation_id)
        takes = find_takes(
            session,
            generation_id,
            _SHOWN.get(shown, ALL_TAKES),
            sort=sort,
            descending=descending,
            page=number_arg("page"),
        )
        behind = dataset_behind(session, generation)
        return page(
            "generations/show.html",
            generation=generation,
            takes=takes,
            copies=copies_among(session, [take.id for take in takes.items]),
            searched=count_searched(session, generation_id) if shown == "copies" else 0,
            behind=behind,
            split=evaluable_split(generation, behind),
            sort=sort,
            descending=descending,
            shown=shown,
            orders=list(TAKE_ORDERS),
            why=why_waiting(session, generation.job) if generation.job is not None else "",
            program=int(generation.settings.get("program", 0)),
            instrument=PROGRAM_NAMES[int(generation.settings.get("program", 0))],
            labels=_labels(),
        )


@bp.route("/<number:generation_id>/takes.zip", methods=["GET", "POST"])
@names_others
@needs(Right.VIEW)
def takes_zip(generation_id: int) -> Response:
    """All takes, or those whose numbers are given, as one zip; a long choice comes in a form."""
    services = current_services()
    text = request.values.get("ids", "")
    ids = None
    if text:
        if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in text.split(",")):
            raise InputError.of("ids", f"ids: {text[:40]!r} is refused; numbers of takes with commas are needed.")
        ids = [int(part) for part in text.split(",")]
    name, blocks = stream_takes(services.database, services.store, generation_id, ids)
    note_downloads(services.database, generation_id, ids)
    response = Response(blocks, mimetype="application/zip")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@bp.post("/<number:generation_id>/rename")
def rename(generation_id: int) -> ResponseReturnValue:
    """Give it another name."""
    with current_services().database.transaction() as session:
        generation = service.rename_generation(session, generation_id, request.form.get("name", ""))
    location = url_for("generations.show", generation_id=generation_id)
    return done(f"Renamed to {generation.name}.", location, reload=True)


@bp.post("/<number:generation_id>/delete")
def delete(generation_id: int) -> ResponseReturnValue:
    """Delete it with all its takes."""
    services = current_services()
    service.delete_generation(services.database, services.store, generation_id)
    return done("The generation is deleted.", url_for("generations.index"))


def queued(generation: Generation) -> ResponseReturnValue:
    """The answer to a new generation, after its workers were told."""
    services = current_services()
    with services.database.reading() as session:
        job = service.get_generation(session, generation.id).job
    if job is not None:
        send_tickets_for(services.settings, job)
    location = url_for("generations.show", generation_id=generation.id)
    return done(f"{plural(generation.takes_total, 'take')} queued.", location)


def _labels() -> dict[str, str]:
    return {name: info.title or name for name, info in GenerationSettings.model_fields.items()}
