"""Generations: the list, the form, one generation with its takes."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from core.errors import CadenzaError, InputError
from core.models.generations import Generation
from core.models.jobs import Job
from core.models.trainings import Model
from core.music.names import PROGRAM_NAMES
from core.music.provenance import read_provenance
from core.operations.retention import note_downloads
from core.people.rights import Right
from core.queue.waiting import why_waiting
from core.sampling.settings import MOST_TAKES, GenerationSettings
from core.services import generations as service
from core.services import repeating
from core.services.datasets import get_piece
from core.services.models import find_models
from core.services.primers import PrimerChoice, primer_choice_of
from core.services.takes import TAKE_ORDERS, find_takes
from webui.access import names_others, needs
from webui.context import current_services
from webui.forms import field_errors, form_fields, form_values, text_values
from webui.identity import current_actor
from webui.pages.answers import done, number_arg, page
from webui.pages.placing import cancel_replaced
from webui.receiving import save_files
from webui.submission import checked_placement, send_tickets_for
from webui.takes_zip import stream_takes
from webui.words import plural

bp = Blueprint("generations", __name__, url_prefix="/generations")

_MODELS_OFFERED = 200
_LARGEST_PROVENANCE_FILE = 16 * 2**20


@bp.get("")
def index() -> Response:
    """All generations."""
    search = request.args.get("search", "")
    with current_services().database.reading() as session:
        found = service.find_generations(session, search=search, page=number_arg("page"), per_page=25)
        return page("generations/index.html", found=found, search=search)


@bp.get("/new")
def new() -> Response:
    """The form of a generation."""
    if "like" in request.args:
        return _form(_values_of(number_arg("like")), None)
    values = {name: request.args[name] for name in ("model_id", "piece_id", "seeds") if name in request.args}
    if "piece_id" in values:
        values["primer_kind"] = "piece"
    return _form(values, None)


@bp.post("")
def create() -> ResponseReturnValue:
    """Queue a generation."""
    services = current_services()
    try:
        primer = _primer()
        place = checked_placement(request.form.get("priority", "normal"), request.form.get("start_at", ""))
        with services.database.transaction() as session:
            generation = service.create_generation(
                session,
                services.store,
                model_id=_number("model_id"),
                values=form_values(GenerationSettings, _field_names()),
                primer=primer,
                name=request.form.get("name", ""),
                owner=current_actor().name,
            )
            place.apply(session, session.get(Job, generation.job_id))
            cancel_replaced(session)
    except CadenzaError as error:
        if request.accept_mimetypes.best == "application/json":
            raise
        return _form(dict(request.form), error)
    return queued(generation)


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


@bp.get("/plan.json")
def plan() -> Response:
    """How many takes the form as it stands asks for, or what is wrong with it."""
    names = _field_names()
    values = {name: text for name, text in request.args.items() if name in names and text.strip()}
    try:
        takes = len(GenerationSettings.parse(values).plan())
    except InputError as error:
        # A form that is half filled in is no error yet: the words say what is still wrong.
        return jsonify({"refused": str(error)})
    if takes > MOST_TAKES:
        return jsonify({"refused": f"{takes:,} takes are too many; allowed is 1 to {MOST_TAKES:,}."})
    model_id = request.args.get("model_id", "")
    with current_services().database.reading() as session:
        model = session.get(Model, int(model_id)) if model_id.isascii() and model_id.isdigit() else None
    needs = ""
    if model is not None and model.encoding == "tutorial":
        needs = f"This model continues music: it takes the first {model.settings.get('window', 25)} notes of a piece."
    return jsonify({"words": f"This makes {plural(takes, 'take')}.", "takes": takes, "needs_primer": needs})


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
            sort=sort,
            descending=descending,
            starred=True if shown == "starred" else None,
            defect={"defects": True, "sound": False}.get(shown),
            page=number_arg("page"),
        )
        return page(
            "generations/show.html",
            generation=generation,
            takes=takes,
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


def _form(values: dict[str, str], error: CadenzaError | None) -> Response:
    piece = None
    with current_services().database.reading() as session:
        models = find_models(session, per_page=_MODELS_OFFERED).items
        if values.get("piece_id", "0").isdigit() and int(values.get("piece_id", "0")):
            piece = get_piece(session, int(values["piece_id"]))
    fields = {field.name: field for field in form_fields(GenerationSettings, {"temperature", "primer"})}
    return page(
        "generations/new.html",
        status=200 if error is None else 422 if isinstance(error, InputError) else 409,
        models=models,
        fields=fields,
        advanced=[field.name for field in fields.values() if field.advanced],
        primer_notes=next(field for field in form_fields(PrimerChoice) if field.name == "notes"),
        values=values,
        errors=field_errors(error),
        piece=piece,
        programs=PROGRAM_NAMES,
        limit_bytes=current_services().settings.upload_limit_bytes,
    )


def _values_of(generation_id: int) -> dict[str, str]:
    """The form's fields as they were for a generation, to be changed and sent again."""
    with current_services().database.reading() as session:
        generation = service.get_generation(session, generation_id)
        values = text_values({name: generation.settings[name] for name in _field_names() & generation.settings.keys()})
        choice = primer_choice_of(dict(generation.settings))
        job = generation.job
        values |= {"name": generation.name, "model_id": str(generation.model_id or "")}
    if choice is not None:
        values |= text_values(choice.model_dump(exclude={"kind"}))
        values["primer_kind"] = choice.kind
    if job is not None and not job.state.is_final:
        values["instead_of"] = str(job.id)
    return values


def _primer() -> PrimerChoice:
    kind = request.form.get("primer_kind", "default")
    values: dict[str, Any] = {"kind": kind}
    if kind == "stored":
        values["sha256"] = request.form.get("sha256", "")
    if kind in {"piece", "upload", "stored"} and request.form.get("notes", "").strip():
        values["notes"] = request.form["notes"]
    if kind == "piece":
        values["piece_id"] = _number("piece_id")
    if kind == "upload":
        sent = save_files(request.files.getlist("primer_file"))
        values["upload_id"] = sent[0].id if sent else _number("upload_id")
    return PrimerChoice.parse(values)


def _number(name: str) -> int:
    text = request.form.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        what = {"model_id": "a model", "piece_id": "a piece", "upload_id": "a MIDI file"}[name]
        raise InputError.of(name, f"{name}: {text[:40]!r} is refused; choose {what}.")
    return int(text)


def _field_names() -> set[str]:
    return set(GenerationSettings.model_fields) - {"temperature", "primer"}


def _labels() -> dict[str, str]:
    return {name: info.title or name for name, info in GenerationSettings.model_fields.items()}
