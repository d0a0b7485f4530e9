"""`cadenza models` and what can be done to a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from webui.cli.numbers import model_by
from webui.cli.options import api_client, json_option, page_options
from webui.cli.refusal import Refusal

if TYPE_CHECKING:
    from webui.cli.client import ApiClient


@click.group(invoke_without_command=True)
@click.option("--search", default="", help="Only those whose name contains this text.")
@page_options
@json_option
@click.option("--url", envvar="CADENZA_URL", metavar="ADDRESS", help="Server; else the one running on this data.")
@click.pass_context
def models(context: click.Context, search: str, page: str, per_page: str, as_json: bool, url: str | None) -> None:
    """List the models, or do something with one."""
    if context.invoked_subcommand is not None:
        return
    from webui.cli.client import ApiClient
    from webui.cli.tables import moment, print_json, print_page

    with ApiClient.of(url) as client:
        answer = client.get("/models", search=search, page=page, per_page=per_page)
    if as_json:
        print_json(answer)
        return
    columns = {
        "id": lambda item: str(item["id"]),
        "name": lambda item: item["name"],
        "family": lambda item: item["family"],
        "parameters": lambda item: item["parameters"],
        "held-out nats/event": lambda item: _figure(item["figures"].get("held_out_nats_per_event")),
        "nats/note": lambda item: _figure(item["figures"].get("held_out_nats_per_note")),
        "nats/s": lambda item: _figure(item["figures"].get("held_out_nats_per_second")),
        "hash": lambda item: item["content_hash"][:12],
        "dataset": lambda item: item["dataset_name"],
        "created": lambda item: moment(item["created_at"]),
    }
    make_one = "`cadenza train --dataset D --preset Starter` makes one"
    print_page(answer, columns, f"There is no model yet; `cadenza models ready` adds one, {make_one}.")


@models.command()
@api_client
def ready(client: ApiClient) -> None:
    """Add the model that comes with Cadenza."""
    answer = client.send("POST", "/models/ready")
    click.echo(f"model {answer['id']}: {answer['name']}")


@models.command()
@click.argument("model", metavar="MODEL")
@api_client
def card(client: ApiClient, model: str) -> None:
    """Show a model's card: data, licence, figures, limits."""
    found = model_by(client, model)
    if not found["card"]:
        raise Refusal(f"The model {found['name']!r} has no card; only the one that comes with Cadenza has.")
    click.echo(found["card"], nl=False)


@models.command()
@click.argument("model", metavar="MODEL")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File, or folder, to save it in.")
@click.option("--last", is_flag=True, help="The last checkpoint instead of the best.")
@api_client
def download(client: ApiClient, model: str, out: Path, last: bool) -> None:
    """Save a model's checkpoint on this machine."""
    from webui.cli.saving import save

    found = model_by(client, model)
    target = out / f"model-{found['id']}-{found['content_hash'][:12]}.cadenza" if out.is_dir() else out
    save(client, f"/models/{found['id']}/checkpoint", target, which="last" if last else "best")
    click.echo(str(target.resolve()))


@models.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", help="What the model is called.")
@api_client
def upload(client: ApiClient, file: Path, name: str) -> None:
    """Add a model from a checkpoint FILE."""
    try:
        with file.open("rb") as stream:
            answer = client.post_files("/models", "file", [(file.name, stream)], **({"name": name} if name else {}))
    except OSError as error:
        raise Refusal(f"{str(file)!r} cannot be read: {error.strerror or error}.") from error
    click.echo(f"model {answer['id']}: {answer['name']}")


@models.command()
@click.argument("model", metavar="MODEL")
@click.argument("name")
@api_client
def rename(client: ApiClient, model: str, name: str) -> None:
    """Give a model another name."""
    answer = client.send("PATCH", f"/models/{model_by(client, model)['id']}", {"name": name})
    click.echo(f"model {answer['id']}: {answer['name']}")


@models.command()
@click.argument("model", metavar="MODEL")
@click.option("--yes", is_flag=True, help="Do not ask.")
@api_client
def delete(client: ApiClient, model: str, yes: bool) -> None:
    """Delete a model, its evaluations and their takes; other takes of it stay."""
    found = model_by(client, model)
    if not yes:
        asked = f"Delete model {found['id']}, {found['name']!r}? Its evaluations and their takes go with it"
        click.confirm(f"{asked}; other takes of it stay", abort=True)
    client.send("DELETE", f"/models/{found['id']}")
    click.echo(f"model {found['id']} is deleted")


def _figure(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else ""
