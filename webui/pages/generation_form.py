"""The form of a generation: shown, filled in from an older one, counted while it is filled in, sent."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from core.errors import CadenzaError, InputError
from core.models.base import Base
from core.models.datasets import Piece
from core.models.jobs import Job
from core.models.trainings import Model
from core.music.names import PROGRAM_NAMES
from core.sampling.settings import MOST_TAKES, GenerationSettings
from core.services import generations as service
from core.services.models import model_here
from core.services.primers import PrimerChoice, primer_choice_of
from webui.context import current_services
from webui.forms import field_errors, form_fields, form_values, text_values
from webui.identity import current_actor
from webui.pages.answers import number_arg, page
from webui.pages.generations import bp, queued
from webui.pages.offers import offer
from webui.pages.placing import cancel_replaced
from webui.receiving import save_files
from webui.submission import checked_placement
from webui.words import plural

T = TypeVar("T", bound=Base)

_MODELS_OFFERED = 200


@bp.get("/new")
def new() -> Response:
    """The form of a generation."""
    if "like" in request.args:
        values, gone = _values_of(number_arg("like", 0))
        return _form(values, None, gone)
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
        model = _row(session, Model, model_id)
    needs = ""
    if model is not None and model.encoding == "tutorial":
        needs = f"This model continues music: it takes the first {model.settings.get('window', 25)} notes of a piece."
    return jsonify({"words": f"This makes {plural(takes, 'take')}.", "takes": takes, "needs_primer": needs})


def _form(values: dict[str, str], error: CadenzaError | None, gone: str = "") -> Response:
    with current_services().database.reading() as session:
        asked = values.get("model_id")
        models = offer(session, Model, asked=asked, most=_MODELS_OFFERED, noun="model", gone=gone)
        piece = _row(session, Piece, values.get("piece_id", ""))
    missing = {"model_id": models.gone} if models.gone else {}
    if piece is None and values.get("piece_id"):
        if values.get("primer_kind") == "piece":
            missing["piece_id"] = f"There is no piece {values['piece_id'][:40]} (any more); search for another."
        values = {**values, "piece_id": ""}
    fields = {field.name: field for field in form_fields(GenerationSettings, {"primer"})}
    return page(
        "generations/new.html",
        status=200 if error is None else 422 if isinstance(error, InputError) else 409,
        models=models,
        fields=fields,
        advanced=[field.name for field in fields.values() if field.advanced],
        primer_notes=next(field for field in form_fields(PrimerChoice) if field.name == "notes"),
        values=values,
        errors={**missing, **field_errors(error)},
        piece=piece,
        programs=PROGRAM_NAMES,
        limit_bytes=current_services().settings.upload_limit_bytes,
    )


def _row(session: Session, table: type[T], number: str) -> T | None:
    fits = number.isascii() and number.isdigit() and len(number) < 10
    return session.get(table, int(number)) if fits else None


def _values_of(generation_id: int) -> tuple[dict[str, str], str]:
    """The fields as they were for a generation, to be changed and sent again; and what to say if its model is gone."""
    with current_services().database.reading() as session:
        generation = service.get_generation(session, generation_id)
        values = text_values({name: generation.settings[name] for name in _field_names() & generation.settings.keys()})
        choice = primer_choice_of(dict(generation.settings))
        job = generation.job
        values |= {"name": generation.name, "model_id": str(model_here(session, generation) or "")}
        gone = f"The model {generation.model_name!r} was deleted; choose another, whose takes will differ."
    if choice is not None:
        values |= text_values(choice.model_dump(exclude={"kind"}))
        values["primer_kind"] = choice.kind
    if job is not None and not job.state.is_final:
        values["instead_of"] = str(job.id)
    return values, gone


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
    return set(GenerationSettings.model_fields) - {"primer"}
