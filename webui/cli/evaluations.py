"""`cadenza evaluate`, `cadenza evaluations` and `cadenza compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from webui.cli.numbers import model_by, number_in_path
from webui.cli.options import api_client, json_option, page_options, settings_of, wait_option

if TYPE_CHECKING:
    from webui.cli.client import ApiClient

_UNBIASED = "its figure is a little low; test pieces, where the dataset has some, give one by which nothing was chosen."
_POINT = {
    "step": lambda point: str(point["step"]),
    "minutes": lambda point: f"{point['seconds'] / 60:.2f}",
    "nats/event": lambda point: _figure(point["nats_per_event"]),
    "nats/note": lambda point: _figure(point["nats_per_note"]),
    "nats/s": lambda point: _figure(point["nats_per_second"]),
}


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--dataset", default="", metavar="D", help="On this dataset; else the one that it was trained on.")
@click.option("--generation", default="", metavar="N", help="Measure the takes of this generation, not new ones.")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A setting, such as takes=200; repeatable.")
@wait_option
@api_client
def evaluate(client: ApiClient, model: str, dataset: str, generation: str, pairs: tuple[str, ...], wait: bool) -> None:
    """Measure a MODEL: likelihood of held-out pieces, likeness to them, defects, copying."""
    values: dict[str, Any] = {"model": model_by(client, model)["id"], "settings": settings_of(pairs)}
    if dataset:
        values["dataset"] = dataset
    if generation:
        values["generation_id"] = number_in_path(generation, "generation")
    evaluation = client.send("POST", "/evaluations", values)
    click.echo(f"evaluation {evaluation['id']}, job {evaluation['job']['id']}: on {evaluation['dataset_name']}")
    if wait:
        from webui.cli.following import wait_for_job

        wait_for_job(client, evaluation["job"]["id"])
        for line in lines_of(client.get(f"/evaluations/{evaluation['id']}")["results"]):
            click.echo(f"  {line}")


@click.command()
@click.option("--model", default="", metavar="MODEL", help="Only those of this model.")
@page_options
@json_option
@api_client
def evaluations(client: ApiClient, model: str, page: str, per_page: str, as_json: bool) -> None:
    """List the evaluations, the newest first."""
    from webui.cli.tables import moment, print_json, print_page, state_of

    only = {"model_id": str(model_by(client, model)["id"])} if model else {}
    answer = client.get("/evaluations", page=page, per_page=per_page, **only)
    if as_json:
        print_json(answer)
        return
    columns = {
        "id": lambda item: str(item["id"]),
        "model": lambda item: item["model_name"],
        "dataset": lambda item: f"{item['dataset_name']} ({item['split']})",
        "state": lambda item: state_of(item["job"]),
        "nats/event": lambda item: _figure(item["results"].get("likelihood", {}).get("nats_per_event")),
        "overlap": lambda item: _figure(item["results"].get("music", {}).get("overlap", {}).get("takes")),
        "created": lambda item: moment(item["created_at"]),
    }
    print_page(answer, columns, "Nothing was evaluated yet; `cadenza evaluate MODEL` measures one.")


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option("--dataset", default="", metavar="N", help="Number of the dataset; else the one most were measured on.")
@click.option("--split", type=click.Choice(["validation", "test"]), help="On these pieces; else those of most.")
@click.option("--curves", is_flag=True, help="Also the held-out figures of their trainings, step by step.")
@json_option
@api_client
def compare(
    client: ApiClient, models: tuple[str, ...], dataset: str, split: str | None, curves: bool, as_json: bool
) -> None:
    """Put MODELs side by side, by their newest evaluations on one dataset."""
    from webui.cli.tables import print_json, print_page

    ids = ",".join(str(model_by(client, model)["id"]) for model in models)
    only = {"dataset_id": str(number_in_path(dataset, "dataset"))} if dataset else {}
    only |= {"split": split} if split else {}
    only |= {"curves": "true"} if curves else {}
    answer = client.get("/models/compare", ids=ids, **only)
    if as_json:
        print_json(answer)
        return
    if answer["dataset_name"]:
        click.echo(f"On {answer['dataset_name']} ({answer['split']} pieces):")
    columns = {
        "id": lambda item: str(item["model_id"]),
        "model": lambda item: item["model_name"],
        "family": lambda item: item["family"],
        "parameters": lambda item: item["parameters"],
        "nats/event": lambda item: _figure(item["nats_per_event"]),
        "nats/note": lambda item: _figure(item["nats_per_note"]),
        "nats/s": lambda item: _figure(item["nats_per_second"]),
        "overlap (real, random)": lambda item: " ".join(
            _figure(item[name]) for name in ("overlap", "overlap_real", "overlap_random")
        ),
        "defects/1,000": lambda item: _counted(item["defects_per_thousand"], item["defects_low"], item["defects_high"]),
        "copies/1,000": lambda item: _figure(item["flagged_per_thousand"]),
    }
    print_page(answer, columns, "")
    if answer["differences"]:
        click.echo(f"Not measured alike. {' '.join(answer['differences'])}")
    if answer["chosen_by"]:
        click.echo(f"These pieces chose the checkpoint of {', '.join(answer['chosen_by'])}: {_UNBIASED}")
    if answer["curve_difference"]:
        click.echo(f"\n{answer['curve_difference']}")
    for curve in answer["curves"]:
        click.echo(f"\n{curve['model_name']} ({curve['model_id']}), held out of {curve['dataset_name']}:")
        print_page({"items": curve["points"]}, _POINT, "")


def lines_of(results: dict[str, Any]) -> list[str]:
    """What an evaluation found, in a few lines."""
    from core.evaluation.rules import threshold_rule  # loads numpy, which the command line starts without

    likelihood, music, originality = (results.get(name, {}) for name in ("likelihood", "music", "originality"))
    lines = []
    if likelihood.get("kind") == "events":
        lines += [f"nats per {unit}: {likelihood[f'nats_per_{unit}']:.4f}" for unit in ("event", "note", "second")]
    elif likelihood.get("kind") == "article":
        lines.append(f"held-out loss of the article (not comparable with others): {likelihood['loss']:.4f}")
    if likelihood.get("chose_checkpoint"):
        lines.append(f"these pieces chose the checkpoint: {_UNBIASED}")
    if music.get("overlap"):
        parts = ", ".join(f"{name} {area:.3f}" for name, area in music["overlap"].items())
        lines.append(f"overlap with held-out pieces: {parts}")
    if music:
        lines.append(f"takes with defects per 1,000: {music['defects']['takes'].get('any', 0):.0f}")
    if given := music.get("given_notes"):
        notes = "a note" if given == 1 else f"{given:,} notes"
        lines.append(f"left out of these figures: {notes} that the takes were given to begin with")
    if originality:
        flagged = f"{originality['flagged']} of {len(originality['takes'])}"
        lines.append(f"takes flagged as copies: {flagged}. {threshold_rule(originality)}")
    return lines


def _counted(value: float | None, low: float | None, high: float | None) -> str:
    """A count in a thousand, and where it lies as far as that is known."""
    if value is None:
        return ""
    return f"{value:.0f}" if low is None or high is None else f"{value:.0f} ({low:.0f} to {high:.0f})"


def _figure(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else ""
