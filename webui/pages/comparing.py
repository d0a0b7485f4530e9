"""Models side by side, and the list from which they are chosen."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import InputError
from core.models.datasets import Dataset
from core.models.trainings import Model
from core.services.comparing import MOST_COMPARED, SPLITS, Comparison, compare_models
from core.services.loss_curves import curve_difference, loss_curves
from core.services.models import find_models
from webui.api.schemas.evaluations import headline, numbers_of
from webui.context import current_services
from webui.forms import field_errors
from webui.pages.answers import number_arg, page
from webui.pages.curve_axis import chosen_axis
from webui.pages.evaluations import bp, feature_of, words
from webui.pages.measure_charts import curve_name, density_chart, loss_chart, originality_chart
from webui.problems import wants_json

_OFFERED = 100


@bp.get("/models/compare")
def compare() -> ResponseReturnValue:
    """Models side by side; or the list to choose them from, with `choose` as its page, and what was wrong with them."""
    if "choose" in request.args or not _ids_text():
        return _list_of_models(None)
    try:
        return _side_by_side()
    except InputError as error:
        if wants_json():
            raise
        return _list_of_models(error)


@bp.get("/models/compare/<name>.json")
def compare_chart(name: str) -> Response:
    """One chart with a curve for each model."""
    with current_services().database.reading() as session:
        comparison = _comparison(session)
        if name == "loss":
            names = {row.model.id: row.model.name for row in comparison.rows}
            return jsonify(loss_chart(loss_curves(session, comparison.rows), names, chosen_axis()))
    results = {
        curve_name(row.model.name, row.model.id): row.evaluation.results for row in comparison.rows if row.evaluation
    }
    return jsonify(originality_chart(results) if name == "originality" else density_chart(feature_of(name), results))


def _side_by_side() -> Response:
    with current_services().database.reading() as session:
        comparison = _comparison(session)
        curves = loss_curves(session, comparison.rows)
        ids = ",".join(str(row.model.id) for row in comparison.rows)
        return page(
            "models/compare.html",
            comparison=comparison,
            heads=[headline(row.evaluation.results if row.evaluation else {}) for row in comparison.rows],
            query={"ids": ids, **_place(comparison)},
            asked={"ids": ids, **_asked_place()},
            has_curves=bool(curves),
            curve_difference=curve_difference(curves),
            **words(),
        )


def _list_of_models(error: InputError | None) -> Response:
    """All models, those chosen so far first, whatever page or search is shown."""
    refused = field_errors(error)
    search = request.args.get("q", "")
    with current_services().database.reading() as session:
        chosen = _chosen_models(session)
        found = find_models(session, search=search, page=number_arg("choose"), per_page=_OFFERED)
        return page(
            "models/choose.html",
            status=200 if error is None else 422,
            chosen=chosen,
            others=[model for model in found.items if model not in chosen],
            found=found,
            search=search,
            most=MOST_COMPARED,
            refusals=list(refused.values()),
            place=_asked_place() if not {"dataset_id", "split"} & refused.keys() else {},
            dataset=session.get(Dataset, number_arg("dataset_id", 0)),
        )


def _chosen_models(session: Session) -> list[Model]:
    """Those of the request that are there, in its order."""
    try:
        ids = _ids()
    except InputError:
        return []
    models = {model.id: model for model in session.scalars(select(Model).where(Model.id.in_(ids)))}
    return [models[number] for number in dict.fromkeys(ids) if number in models]


def _comparison(session: Session) -> Comparison:
    ids = list(dict.fromkeys(_ids()))
    if (more := len(ids) - MOST_COMPARED) > 0:
        raise InputError.of(
            "ids", f"ids: {len(ids)} models are refused; at most {MOST_COMPARED} can be compared, so leave out {more}."
        )
    return compare_models(session, ids, number_arg("dataset_id", 0) or None, request.args.get("split", ""))


def _place(comparison: Comparison) -> dict[str, Any]:
    if comparison.dataset is None:
        return {}
    return {"dataset_id": comparison.dataset[0], "split": comparison.dataset[2]}


def _asked_place() -> dict[str, Any]:
    """The dataset and split that the request names, so that another choice of models stays on them."""
    number, split = number_arg("dataset_id", 0), request.args.get("split", "")
    return {**({"dataset_id": number} if number else {}), **({"split": split} if split in SPLITS else {})}


def _ids_text() -> str:
    """`ids=1,2` and `ids=1&ids=2` alike, as forms and people write them."""
    return ",".join(part for part in request.args.getlist("ids") if part.strip())


def _ids() -> list[int]:
    try:
        return numbers_of(_ids_text())
    except ValueError as error:
        raise InputError.of("ids", str(error)) from None
