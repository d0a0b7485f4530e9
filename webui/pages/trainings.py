"""Trainings: the list, the form with presets and an estimate, one training with its live curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from core.errors import CadenzaError, InputError
from core.models.datasets import Dataset
from core.models.trainings import TrainingPoint
from core.queue.waiting import why_waiting
from core.services import trainings as service
from core.services.datasets import get_dataset
from core.services.estimates import Estimate, estimate_training
from core.services.keeping import keep_model
from core.services.models import model_names
from core.services.window_fit import check_window, window_advice
from core.training.settings import FAMILIES, EventSettings, FamilySettings, parse_training_settings, stored_values
from webui.context import current_services
from webui.forms import field_errors, form_fields, form_values, text_values
from webui.identity import current_actor
from webui.pages.answers import done, number_arg, page
from webui.pages.curve_axis import chosen_axis, is_timed, places
from webui.pages.models import setting_labels
from webui.pages.offers import offer
from webui.pages.placing import cancel_replaced
from webui.submission import checked_placement, send_tickets_for
from webui.words import duration, plural

bp = Blueprint("trainings", __name__, url_prefix="/trainings")

_DATASETS_OFFERED = 200
# Beyond this, a curve's points lie closer than the screen's.
_MOST_POINTS = 2000
# Chart to (title of the y axis, value's name to the curve's name).
_CURVES: dict[str, tuple[str, dict[str, str]]] = {
    "loss": (
        "Nats per event",
        {"train_loss": "training", "held_out_nats_per_event": "held out", "held_out_loss": "held out"},
    ),
    "per-note": ("Nats per note", {"held_out_nats_per_note": "held out"}),
    "per-second": ("Nats per second", {"held_out_nats_per_second": "held out"}),
    "pitch": ("Pitch", {"train_pitch": "training", "held_out_pitch": "held out"}),
    "step": ("Step", {"train_step": "training", "held_out_step": "held out"}),
    "duration": ("Duration", {"train_duration": "training", "held_out_duration": "held out"}),
    "learning-rate": ("Learning rate", {"learning_rate": "learning rate"}),
}


@bp.get("")
def index() -> Response:
    """All trainings."""
    with current_services().database.reading() as session:
        found = service.find_trainings(session, page=number_arg("page"), per_page=25)
        names = model_names(session, [each.model_id for each in found.items if each.model_id is not None])
        return page("trainings/index.html", found=found, model_names=names)


@bp.get("/new")
def new() -> Response:
    """The form of a training."""
    family = request.args.get("family", "lstm")
    chosen = FAMILIES.get(family) or FAMILIES["lstm"]
    preset = request.args.get("preset", next(iter(chosen.presets)))
    values = text_values(chosen.presets.get(preset, {}))
    if "like" in request.args:
        return _form_like(number_arg("like", 0))
    if "dataset_id" in request.args:
        values["dataset_id"] = request.args["dataset_id"]
    return _form(chosen, preset, values, None)


@bp.post("")
def create() -> ResponseReturnValue:
    """Queue a training."""
    services = current_services()
    family, preset = request.form.get("family", ""), request.form.get("preset", "")
    try:
        if family not in FAMILIES:
            raise InputError.of("family", f"family: {family[:40]!r} is unknown; allowed are {', '.join(FAMILIES)}.")
        place = checked_placement(request.form.get("priority", "normal"), request.form.get("start_at", ""))
        with services.database.transaction() as session:
            training = service.create_training(
                session,
                dataset_id=_number(request.form.get("dataset_id", ""), "dataset_id"),
                family=family,
                preset=preset,
                values=form_values(FAMILIES[family]),
                name=request.form.get("name", ""),
                evaluate="evaluate.shown" not in request.form or "evaluate" in request.form,
                owner=current_actor().name,
            )
            job = training.job
            place.apply(session, job)
            cancel_replaced(session)
    except CadenzaError as error:
        if request.accept_mimetypes.best == "application/json" or family not in FAMILIES:
            raise
        return _form(FAMILIES[family], preset, {**request.form, **form_values(FAMILIES[family])}, error)
    if job is not None:
        send_tickets_for(services.settings, job)
    return done(f"The training {training.name} is queued.", url_for("trainings.show", training_id=training.id))


def _form_like(training_id: int) -> Response:
    """The form as it was for a training, to be changed and sent again."""
    with current_services().database.reading() as session:
        training = service.get_training(session, training_id)
        values = text_values(stored_values(training.family, training.settings))
        values |= {"name": training.name, "dataset_id": str(training.dataset_id or ""), "evaluate.shown": "1"}
        if training.evaluate:
            values["evaluate"] = "true"
        if training.job is not None and not training.job.state.is_final:
            values["instead_of"] = str(training.job.id)
    gone = "The dataset of this training was deleted; import it again, or choose another."
    return _form(FAMILIES[training.family], "", values, None, "" if training.dataset_id else gone)


@bp.get("/estimate.json")
def estimate() -> Response:
    """How long the training of the form as it stands will take."""
    family = request.args.get("family", "")
    values = form_values(FAMILIES[family], sent=request.args) if family in FAMILIES else {}
    if not request.args.get("dataset_id"):
        return jsonify({"refused": "Choose a dataset to learn how long it takes."})
    try:
        settings = parse_training_settings(family, values)
        with current_services().database.reading() as session:
            dataset = get_dataset(session, _number(request.args.get("dataset_id", ""), "dataset_id"))
            check_window(session, dataset, settings)
            likely = estimate_training(session, dataset, settings)
    except CadenzaError as error:
        # A form that is half filled in is no error yet: the words say what is still wrong.
        return jsonify({"refused": str(error)})
    words = {"words": f"about {_rounded(likely.seconds)}", "more": _extent(dataset, settings, likely)}
    return jsonify({**words, "advice": window_advice(dataset, settings)})


@bp.get("/<number:training_id>")
def show(training_id: int) -> Response:
    """One training, live."""
    with current_services().database.reading() as session:
        training = service.get_training(session, training_id)
        return page(
            "trainings/show.html",
            training=training,
            why=why_waiting(session, training.job) if training.job is not None else "",
            advice=service.advice_on(training),
            labels=setting_labels(training.family),
            charts=_charts_of(training.family),
            axis=chosen_axis(),
        )


@bp.post("/<number:training_id>/keep")
def keep(training_id: int) -> ResponseReturnValue:
    """Make a model of the best checkpoint so far, whether the training goes on or not."""
    services = current_services()
    model = keep_model(services.database, services.store, training_id)
    return done(f"The model {model.name} was made of the best checkpoint.", url_for("models.show", model_id=model.id))


@bp.get("/<number:training_id>/<name>.json")
def chart(training_id: int, name: str) -> Response:
    """One chart of a training's curves."""
    if name not in _CURVES:
        raise InputError.of("chart", f"chart: {name!r} is unknown; allowed are {', '.join(_CURVES)}.")
    with current_services().database.reading() as session:
        training = service.get_training(session, training_id)
        points = service.training_points(session, training_id)
    title, curves = _CURVES[name]
    if name == "loss" and training.family == "tutorial":
        title = "Loss"
    by = chosen_axis()
    time_title = "Minutes of training" if is_timed(points) else "Minutes since the first figure"
    x_title = time_title if by == "time" else "Step"
    axes = {"x_title": x_title, "x_from_zero": by == "time", "y_title": title}
    return jsonify({**axes, "series": _series(points, curves, by)})


def _series(points: Sequence[TrainingPoint], curves: dict[str, str], by: str) -> list[dict[str, Any]]:
    stride = max(1, -(-len(points) // _MOST_POINTS))
    # Thinned from the end, so that the newest point is always shown.
    shown = list(zip(places(points, by), points, strict=True))[::-1][::stride][::-1]
    series: list[dict[str, Any]] = []
    for key, name in curves.items():
        measured = [(x, point.values[key]) for x, point in shown if key in point.values]
        if measured:
            own = {"x": [x for x, _ in measured], "y": [y for _, y in measured]}
            series.append({"name": name, "dash": "solid" if len(series) == 0 else "dot", **own})
    return series


def _form(
    cls: type[FamilySettings], preset: str, values: dict[str, str], error: CadenzaError | None, gone: str = ""
) -> Response:
    with current_services().database.reading() as session:
        asked, noun = values.get("dataset_id"), "imported dataset"
        datasets = offer(session, Dataset, Dataset.ready, asked=asked, most=_DATASETS_OFFERED, noun=noun, gone=gone)
    return page(
        "trainings/new.html",
        status=200 if error is None else 422 if isinstance(error, InputError) else 409,
        family=cls,
        families=FAMILIES,
        fields=form_fields(cls),
        preset=preset,
        presets={name: text_values(chosen) for name, chosen in cls.presets.items()},
        values=values,
        errors={**({"dataset_id": datasets.gone} if datasets.gone else {}), **field_errors(error)},
        datasets=datasets,
    )


def _charts_of(family: str) -> list[tuple[str, str]]:
    if family == "tutorial":
        return [("loss", "Loss"), ("pitch", "Pitch head"), ("step", "Step head"), ("duration", "Duration head")]
    per_unit = [("per-note", "Held-out loss per note"), ("per-second", "Held-out loss per second of music")]
    return [("loss", "Loss"), *per_unit, ("learning-rate", "Learning rate")]


def _number(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError.of(field, f"{field}: {text[:40]!r} is refused; choose one from the list.")
    return int(text)


def _rounded(seconds: float) -> str:
    """An estimate does not know its seconds."""
    step = 5 if seconds < 60 else 30 if seconds < 600 else 60 if seconds < 3600 else 600
    return duration(max(step, round(seconds / step) * step))


def _extent(dataset: Dataset, settings: FamilySettings, likely: Estimate) -> str:
    pieces = int(dataset.statistics.get("splits", {}).get("train", {}).get("pieces", 0))
    used = min(settings.files, pieces) if settings.files else pieces
    text = f"on {plural(used, 'training piece')} of {dataset.name}; early stopping may end it sooner."
    if isinstance(settings, EventSettings) and likely.steps is not None and likely.steps < settings.steps:
        text += f" About {likely.steps:,} of the {settings.steps:,} steps fit into the time limit."
    return text
