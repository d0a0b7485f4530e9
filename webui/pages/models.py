"""Models: the list, one model with its curves and figures, upload and download."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from core.errors import InputError
from core.evaluation.settings import EvaluationSettings
from core.models.datasets import Dataset
from core.ready.shipped import card_of
from core.services import evaluations
from core.services import models as service
from core.services.comparability import chose_checkpoint
from core.services.generations import create_generation, find_generations
from core.services.lineage import trained_on, trainings_behind
from core.services.ready import add_ready_model
from core.services.trainings import find_trainings
from core.training.settings import FAMILIES
from webui.context import current_services
from webui.forms import form_fields
from webui.identity import current_actor
from webui.pages.answers import done, number_arg, page, wanted_part
from webui.pages.curve_axis import chosen_axis
from webui.pages.evaluations import words
from webui.pages.files import send_stored
from webui.pages.generations import queued
from webui.pages.model_cards import card_as_html
from webui.pages.offers import offer

bp = Blueprint("models", __name__, url_prefix="/models")

_RUNNING_SHOWN = 50
_EVALUATIONS_SHOWN = 8
_DATASETS_OFFERED = 200


@bp.get("")
def index() -> Response:
    """All models, and the trainings that are still under way."""
    search = request.args.get("search", "")
    with current_services().database.reading() as session:
        recent = find_trainings(session, per_page=_RUNNING_SHOWN)
        return page(
            "models/index.html",
            found=service.find_models(session, search=search, page=number_arg("page"), per_page=25),
            search=search,
            open_trainings=[each for each in recent.items if each.job is not None and not each.job.state.is_final],
            limit_bytes=current_services().settings.upload_limit_bytes,
        )


@bp.get("/<number:model_id>")
def show(model_id: int) -> Response:
    """One model: figures, settings, curves, what it has made."""
    with current_services().database.reading() as session:
        model = service.get_model(session, model_id)
        return page(
            "models/show.html",
            model=model,
            training=None if wanted_part() else trainings_behind(session, [model_id]).get(model_id),
            generations=find_generations(session, model_id=model_id, per_page=8),
            labels=setting_labels(model.family),
            **_measured(session, model_id),
            card=card_as_html(card_of(model.content_hash)),
            summary=FAMILIES[model.family].summary if model.family in FAMILIES else "",
            axis=chosen_axis(),
        )


@bp.get("/<number:model_id>/model.cadenza")
def download(model_id: int) -> Response:
    """The checkpoint, to be uploaded elsewhere."""
    services = current_services()
    with services.database.reading() as session:
        model = service.get_model(session, model_id)
    return send_stored(services.store, model.checkpoint_key, "application/octet-stream", f"{model.name}.cadenza")


@bp.post("")
def upload() -> ResponseReturnValue:
    """Add a model from a checkpoint file."""
    services = current_services()
    file = request.files.get("file")
    if file is None or not file.filename:
        raise InputError.of("file", "file: no checkpoint was chosen; choose a .cadenza file.")
    name = request.form.get("name", "").strip() or file.filename.removesuffix(".cadenza")
    model = service.upload_model(
        services.database, services.store, file.stream.read(), name=name[:200], owner=current_actor().name
    )
    return done(f"The model {model.name} is here.", url_for("models.show", model_id=model.id))


@bp.post("/ready")
def ready() -> ResponseReturnValue:
    """Add the model that comes with Cadenza; with `seeds` it composes them at once, with `form` its form follows."""
    services = current_services()
    model, _ = add_ready_model(services.database, services.store, current_actor().name)
    seeds = request.form.get("seeds", "")
    if not seeds:
        target = "generations.new" if "form" in request.form else "models.show"
        return done(f"The model {model.name} is here.", url_for(target, model_id=model.id))
    with services.database.transaction() as session:
        generation = create_generation(
            session, services.store, model_id=model.id, values={"seeds": seeds}, owner=current_actor().name
        )
    return queued(generation)


@bp.post("/<number:model_id>/rename")
def rename(model_id: int) -> ResponseReturnValue:
    """Give it another name."""
    with current_services().database.transaction() as session:
        model = service.rename_model(session, model_id, request.form.get("name", ""))
    return done(f"Renamed to {model.name}.", url_for("models.show", model_id=model_id), reload=True)


@bp.post("/<number:model_id>/delete")
def delete(model_id: int) -> ResponseReturnValue:
    """Delete it; what it made stays."""
    services = current_services()
    service.delete_model(services.database, services.store, model_id)
    return done("The model is deleted.", url_for("models.index"))


def _measured(session: Session, model_id: int) -> dict[str, Any]:
    """The newest finished evaluation, those under way, and what the form of another one needs."""
    found = evaluations.find_evaluations(session, model_id=model_id, per_page=_EVALUATIONS_SHOWN)
    own = trained_on(session, model_id)
    lacks = "is not here" if own is None else "has no held-out pieces"
    latest = evaluations.latest_evaluations(session, [model_id]).get(model_id)
    return {
        **words(),
        "evaluations": found,
        "latest": latest,
        "latest_chose": latest is not None and chose_checkpoint(session, latest),
        "running": [each for each in found.items if each.job is not None and not each.job.state.is_final],
        "evaluation_fields": form_fields(EvaluationSettings),
        "datasets": offer(
            session,
            Dataset,
            evaluations.can_be_measured_on(),
            asked=str(own.id) if own is not None else "",
            most=_DATASETS_OFFERED,
            noun="dataset with held-out pieces",
            gone=f"The dataset that it was trained on {lacks}; choose what to measure it on.",
        ),
        "own_dataset_id": own.id if own is not None else None,
    }


def setting_labels(family: str) -> dict[str, str]:
    """The words beside the settings of a family."""
    cls = FAMILIES.get(family)
    return {} if cls is None else {name: info.title or name for name, info in cls.model_fields.items()}
