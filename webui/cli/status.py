"""`cadenza status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from webui.cli.options import api_client, json_option

if TYPE_CHECKING:
    from webui.cli.client import ApiClient


@click.command()
@json_option
@api_client
def status(client: ApiClient, as_json: bool) -> None:
    """Show queues, workers and what runs."""
    from webui.cli.tables import print_json, print_page, state_of

    answer = client.get("/overview")
    if as_json:
        print_json(answer)
        return
    click.echo(f"Cadenza {answer['version']} at {client.address}")
    counts = {"datasets": answer["datasets"], "models": answer["models"], "generations": answer["generations"]}
    click.echo(", ".join(f"{count:,} {noun}" for noun, count in counts.items()))
    queues = {name: lambda item, name=name: item[name] for name in ("name", "waiting", "held", "running", "workers")}
    print_page({"items": answer["queues"]}, queues, "")
    workers = {
        "worker": lambda item: item["name"],
        "state": lambda item: item["state"],
        "queues": lambda item: ", ".join(item["queues"]),
        "device": lambda item: item["device"],
        "units done": lambda item: item["units_done"],
    }
    print_page({"items": answer["workers"]}, workers, "No worker runs.")
    running = {"job": lambda item: str(item["id"]), "title": lambda item: item["title"], "state": state_of}
    print_page({"items": answer["running"]}, running, "Nothing runs.")
