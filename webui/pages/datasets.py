"""Datasets: the list, the import's form, one dataset with its pieces and distributions."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from core.datasets.settings import ImportSettings
from core.errors import CadenzaError, InputError
from core.models.datasets import Dataset
from core.models.generations import Generation
from core.music.names import pitch_name
from core.queue.waiting import why_waiting
from core.services import datasets as service
from webui.context import current_services
from webui.forms import field_errors, form_fields, form_values
from webui.identity import current_actor
from webui.pages.answers import done, number_arg, page, wanted_part
from webui.pages.offers import offer
from webui.receiving import save_files
from webui.submission import send_tickets_for

bp = Blueprint("datasets", __name__, url_prefix="/datasets")

_GENERATIONS_OFFERED = 100


@bp.get("")
def index() -> Response:
    """All datasets."""
    search = request.args.get("search", "")
    with current_services().database.reading() as session:
        found = service.list_datasets(session, search=search, page=number_arg("page"), per_page=25)
        return page("datasets/index.html", found=found, search=search)


@bp.get("/new")
def new() -> Response:
    """The form of an import."""
    values = {name: request.args[name] for name in ("source", "generation_id", "take_ids") if name in request.args}
    return _form(values, None)


@bp.post("")
def create() -> ResponseReturnValue:
    """Queue an import."""
    services = current_services()
    values = form_values(ImportSettings)
    try:
        sent = save_files(request.files.getlist("files"))
        if sent:
            values["uploads"] = ",".join(
                [*filter(None, [values.get("uploads", "")]), *(str(upload.id) for upload in sent)]
            )
        settings = ImportSettings.parse(_of_source(values))
        with services.database.transaction() as session:
            dataset = service.create_import(session, settings, current_actor().name)
            job = dataset.job
    except CadenzaError as error:
        if request.accept_mimetypes.best == "application/json":
            raise
        return _form(values, error)
    if job is not None:
        send_tickets_for(services.settings, job)
    return done(f"The import of {dataset.name} has begun.", url_for("datasets.show", dataset_id=dataset.id))


@bp.get("/<number:dataset_id>")
def show(dataset_id: int) -> Response:
    """One dataset: its import while it runs, else its pieces, rejected files and distributions."""
    search, sort = request.args.get("search", ""), request.args.get("sort", "index")
    descending = request.args.get("order") == "desc"
    with current_services().database.reading() as session:
        dataset = service.get_dataset(session, dataset_id)
        pieces = rejections = None
        if dataset.ready and not wanted_part():
            pieces = service.find_pieces(
                session, dataset_id, search=search, sort=sort, descending=descending, page=number_arg("page")
            )
        if not wanted_part() and dataset.rejected_count:
            rejections = service.find_rejections(session, dataset_id, page=number_arg("rejected_page"), per_page=100)
        return page(
            "datasets/show.html",
            dataset=dataset,
            pieces=pieces,
            rejections=rejections,
            search=search,
            sort=sort,
            descending=descending,
            why=why_waiting(session, dataset.job) if dataset.job is not None and not dataset.ready else "",
            splits=dataset.statistics.get("splits", {}),
        )


@bp.get("/<number:dataset_id>/<name>.json")
def chart(dataset_id: int, name: str) -> Response:
    """One of the four distributions, for a chart."""
    with current_services().database.reading() as session:
        dataset = service.get_dataset(session, dataset_id)
    histogram = dataset.statistics.get("histograms", {}).get(name)
    if histogram is None:
        return jsonify({"bars": True, "series": [], "x_title": "", "y_title": ""})
    return jsonify(_histogram_chart(name, histogram))


@bp.post("/<number:dataset_id>/rename")
def rename(dataset_id: int) -> ResponseReturnValue:
    """Give it another name."""
    with current_services().database.transaction() as session:
        dataset = service.rename_dataset(session, dataset_id, request.form.get("name", ""))
    return done(f"Renamed to {dataset.name}.", url_for("datasets.show", dataset_id=dataset_id), reload=True)


@bp.post("/<number:dataset_id>/delete")
def delete(dataset_id: int) -> ResponseReturnValue:
    """Delete it with its pieces."""
    services = current_services()
    service.delete_dataset(services.database, services.store, dataset_id)
    return done("The dataset is deleted.", url_for("datasets.index"))


def _form(values: dict[str, str], error: CadenzaError | None) -> Response:
    services = current_services()
    with services.database.reading() as session:
        generations = offer(
            session,
            Generation,
            Generation.takes_done > 0,
            asked=values.get("generation_id", request.form.get("generation_id")),
            most=_GENERATIONS_OFFERED,
            noun="generation with takes",
        )
        starter = session.scalar(select(Dataset.id).where(Dataset.ready).limit(1)) is None
    return page(
        "datasets/new.html",
        status=200 if error is None else 422 if isinstance(error, InputError) else 409,
        fields={field.name: field for field in form_fields(ImportSettings)},
        values={"source": "starter" if starter else "upload", **values},
        errors={**({"generation_id": generations.gone} if generations.gone else {}), **field_errors(error)},
        generations=generations,
        limit_bytes=services.settings.upload_limit_bytes,
    )


def _of_source(values: dict[str, str]) -> dict[str, str]:
    """Only what belongs to the chosen source: the form's other sections are folded away, not empty."""
    shared = {"name", "source", "files_limit"}
    own = {
        "maestro": {"address", "size_bytes", "sha256"},
        "upload": {"uploads"},
        "takes": {"generation_id", "take_ids"},
    }
    wanted = shared | own.get(values.get("source", ""), set())
    return {name: value for name, value in values.items() if name in wanted}


def _histogram_chart(name: str, histogram: dict[str, Any]) -> dict[str, Any]:
    counts: list[int] = histogram["counts"]
    titles = {
        "pitch": "Pitch",
        "velocity": "Velocity",
        "step_seconds": "Time since the note before",
        "duration_seconds": "Duration",
    }
    chart: dict[str, Any] = {"bars": True, "x_title": titles[name], "y_title": "Notes"}
    if edges := histogram.get("edges"):
        ends = [*edges[1:], float("inf")]
        labels = [f"{low:.3g} to {high:.3g} s" for low, high in zip(edges, ends, strict=False)]
        labels[-1] = f"over {edges[-1]:g} s"
        marks = {0.001: "1 ms", 0.01: "10 ms", 0.1: "0.1 s", 1.0: "1 s", 10.0: "10 s", 100.0: "100 s"}
        ticks = {place: marks[edge] for place, edge in enumerate(edges) if edge in marks}
    else:
        used = [place for place, count in enumerate(counts) if count] or [0]
        labels = [f"{pitch_name(place)} ({place})" if name == "pitch" else str(place) for place in range(len(counts))]
        step = 12 if name == "pitch" else 16
        ticks = {
            place: pitch_name(place) if name == "pitch" else str(place)
            for place in range(0, len(counts), step)
            if used[0] - step <= place <= used[-1] + step
        }
    shown = [place for place, count in enumerate(counts) if count]
    first, last = (shown[0], shown[-1] + 1) if shown else (0, 0)
    chart["x_ticks"] = {"values": list(ticks), "texts": list(ticks.values())}
    chart["series"] = [
        {
            "name": "notes",
            "x": list(range(first, last)),
            "y": counts[first:last],
            "labels": labels[first:last],
            "hover": "%{customdata}: %{y:,} notes<extra></extra>",
        }
    ]
    return chart
