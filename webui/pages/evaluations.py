"""Evaluations: asking for one, and the page of one with its charts; models side by side are a file of its own."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from core.errors import InputError
from core.evaluation.defects import DEFECTS
from core.evaluation.features import FEATURES
from core.evaluation.results import SETS, VERSION
from core.evaluation.rules import hanging_rule, threshold_rule
from core.evaluation.settings import EvaluationSettings
from core.queue.waiting import why_waiting
from core.services import evaluations as service
from core.services.comparability import chose_checkpoint
from webui.context import current_services
from webui.forms import form_values
from webui.identity import current_actor
from webui.pages.answers import done, number_arg, page
from webui.pages.measure_charts import density_chart, originality_chart
from webui.submission import send_tickets_for

bp = Blueprint("evaluations", __name__)

DENSITIES = [name for name, feature in FEATURES.items() if not feature.vector]


@bp.get("/evaluations")
def index() -> Response:
    """All evaluations."""
    with current_services().database.reading() as session:
        found = service.find_evaluations(session, page=number_arg("page"), per_page=25)
        return page("evaluations/index.html", found=found)


@bp.post("/evaluations")
def create() -> ResponseReturnValue:
    """Queue an evaluation."""
    services = current_services()
    with services.database.transaction() as session:
        evaluation = service.create_evaluation(
            session,
            services.store,
            model_id=_number("model_id"),
            dataset_id=_number("dataset_id"),
            values=form_values(EvaluationSettings),
            generation_id=_number("generation_id") if request.form.get("generation_id") else None,
            owner=current_actor().name,
        )
        job = service.get_evaluation(session, evaluation.id).job
    if job is not None:
        send_tickets_for(services.settings, job)
    return done("The evaluation is queued.", url_for("evaluations.show", evaluation_id=evaluation.id))


@bp.get("/evaluations/<number:evaluation_id>")
def show(evaluation_id: int) -> Response:
    """One evaluation: how far it is, and what it found so far."""
    with current_services().database.reading() as session:
        evaluation = service.get_evaluation(session, evaluation_id)
        return page(
            "evaluations/show.html",
            evaluation=evaluation,
            why=why_waiting(session, evaluation.job) if evaluation.job is not None else "",
            chose_checkpoint=chose_checkpoint(session, evaluation),
            **words(),
        )


@bp.post("/evaluations/<number:evaluation_id>/delete")
def delete(evaluation_id: int) -> ResponseReturnValue:
    """Delete it, with the takes that were made for it alone."""
    services = current_services()
    with services.database.reading() as session:
        model_id = service.get_evaluation(session, evaluation_id).model_id
    service.delete_evaluation(services.database, services.store, evaluation_id)
    return done("The evaluation is deleted.", url_for("models.show", model_id=model_id))


@bp.get("/evaluations/<number:evaluation_id>/<name>.json")
def chart(evaluation_id: int, name: str) -> Response:
    """How one measure, or the shared passages, are distributed."""
    with current_services().database.reading() as session:
        results = service.get_evaluation(session, evaluation_id).results
    if name == "originality":
        return jsonify(originality_chart({"takes": results}))
    return jsonify(density_chart(feature_of(name), {"takes": results}))


def words() -> dict[str, Any]:
    """What templates that show results need: titles and rules of measures, defects and sets."""
    titles = {"takes": "Takes", "real": "Real music", "random": "Random notes"}
    return {
        "features": FEATURES,
        "defects": DEFECTS,
        "hanging_rule": hanging_rule,
        "threshold_rule": threshold_rule,
        "current_version": VERSION,
        "sets": {name: titles[name] for name in SETS},
        "densities": [FEATURES[name] for name in DENSITIES],
    }


def feature_of(name: str) -> str:
    """The measure that a chart is of.

    Raises:
        InputError: there is none of this name.
    """
    if name not in DENSITIES:
        raise InputError.of("chart", f"chart: {name[:40]!r} is unknown; allowed are {', '.join(DENSITIES)}.")
    return name


def _number(field: str) -> int:
    text = request.form.get(field, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError.of(field, f"{field}: {text[:40]!r} is refused; choose one from the list.")
    return int(text)
