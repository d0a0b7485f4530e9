"""`cadenza demo`: from nothing to eight takes on this machine, through the same API that everybody uses."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from webui.cli.client import ApiClient

_FAMILY = "lstm"
_PRESET = "Starter"
# Never by the clock: two runs on one machine give the same bytes.
_LENGTH = {"steps": 1_000, "evaluate_every": 125, "minutes": 0}
_MODEL = "Chorales Starter"
_SEEDS = "0-7"
_NOTES = 120


@click.command()
@click.option("--exit", "leave", is_flag=True, help="Stop everything at the end instead of serving until Ctrl-C.")
def demo(leave: bool) -> None:
    """Import chorales, train on them, compose 8 takes, and keep serving.

    A second run uses the dataset and the model again.
    """
    from core.settings import Settings
    from webui.cli.client import ApiClient
    from webui.cli.parts import sentences
    from webui.launcher.system import running_system

    settings = Settings()
    ended = threading.Event()
    # SIGTERM ends the demo as Ctrl-C does: the system is stopped on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with sentences():
        _say("Starting Valkey, the web server, three workers and the maintenance process")
        try:
            with running_system(settings) as system:
                client = ApiClient(system.address)
                dataset = _dataset(client)
                model = _model(client, dataset)
                files = _takes(client, model, settings.data_dir.absolute() / "demo")
                held_out = model["figures"]["held_out_nats_per_event"]
                click.echo(f"dashboard: {system.address}")
                click.echo(f"held-out loss: {held_out:.4f} nats per event")
                for file in files:
                    click.echo(file)
                if not leave:
                    _evaluate(client, model)
                    _say("Serving until Ctrl-C.")
                    ended.wait()
        except KeyboardInterrupt:
            _say("Stopped. What was made is kept; the next run goes on from it.")


def _dataset(client: ApiClient) -> dict[str, Any]:
    """The imported chorales: those of an earlier run, or imported now."""
    found = [item for item in client.get("/datasets", per_page=500)["items"] if item["source"] == "starter"]
    ready = [item for item in found if item["ready"]]
    if ready:
        _say(f"Using the dataset {ready[-1]['name']!r} ({ready[-1]['pieces']} pieces)")
        return dict(ready[-1])
    _say("Importing the Bach chorales of music21's corpus")
    dataset = _unfinished(client, found) or client.send("POST", "/datasets", {"source": "starter"})
    _follow(client, dataset["job"])
    imported: dict[str, Any] = client.get(f"/datasets/{dataset['id']}")
    return imported


def _model(client: ApiClient, dataset: dict[str, Any]) -> dict[str, Any]:
    """The model of an earlier run, one of an interrupted run that goes on, or one trained now."""
    trainings = client.get("/trainings", per_page=500)["items"]
    ours = [item for item in trainings if item["name"] == _MODEL and item["dataset_id"] == dataset["id"]]
    for training in ours:
        if training["model_id"]:
            model: dict[str, Any] = client.get(f"/models/{training['model_id']}")
            _say(f"Using the model {model['name']!r}")
            return model
    _say(f"Training the model {_FAMILY} {_PRESET} for {_LENGTH['steps']:,} steps")
    values = {"dataset": dataset["id"], "family": _FAMILY, "preset": _PRESET, "settings": _LENGTH, "name": _MODEL}
    # The music comes first; what the model is worth is measured once it plays.
    training = _unfinished(client, ours) or client.send("POST", "/trainings", {**values, "evaluate": False})
    _follow(client, training["job"])
    trained = client.get(f"/trainings/{training['id']}")["model_id"]
    result: dict[str, Any] = client.get(f"/models/{trained}")
    return result


def _takes(client: ApiClient, model: dict[str, Any], folder: Path) -> list[Path]:
    """Compose the seeds anew and save their files; their absolute paths."""
    from webui.cli.saving import save

    _say(f"Composing the seeds {_SEEDS}, {_NOTES} notes each")
    settings = {"seeds": _SEEDS, "length_unit": "notes", "length": _NOTES}
    generation = client.send("POST", "/generations", {"model": model["id"], "settings": settings})
    _follow(client, generation["job"])
    takes = client.get(f"/generations/{generation['id']}/takes", per_page=500)["items"]
    files = []
    for take in takes:
        target = folder / f"generation-{generation['id']}" / take["file_name"]
        save(client, f"/takes/{take['id']}/midi", target)
        files.append(target)
    return files


def _evaluate(client: ApiClient, model: dict[str, Any]) -> None:
    """Queue an evaluation of the model, unless there is one; its page shows the figures when they are there."""
    if not client.get("/evaluations", model_id=model["id"])["total"]:
        client.send("POST", "/evaluations", {"model": model["id"]})
        _say("Measuring the model; its page shows how good it is in a minute or two")


def _unfinished(client: ApiClient, found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Of an interrupted earlier run: what is still queued, or was stopped and is tried again; None otherwise."""
    for item in found:
        job = item["job"]
        if job is None:
            continue
        if job["state"] in {"queued", "running"}:
            if job["paused"]:
                client.send("POST", f"/jobs/{job['id']}/resume")
            return item
        if job["state"] in {"failed", "cancelled"}:
            return {**item, "job": client.send("POST", f"/jobs/{job['id']}/retry")}
    return None


def _follow(client: ApiClient, job: dict[str, Any]) -> None:
    from webui.cli.following import wait_for_job

    wait_for_job(client, job["id"])


def _say(text: str) -> None:
    click.secho(f"• {text}", bold=True, err=True)
