"""`cadenza import` and `cadenza datasets`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webui.cli.options import api_client, json_option, page_options, wait_option

if TYPE_CHECKING:
    from webui.cli.client import ApiClient


@click.command("import")
@click.argument("sources", nargs=-1, required=True, metavar="starter|maestro|PATH...")
@click.option("--name", default="", help="What the dataset is called.")
@click.option("--limit", default="0", metavar="N", help="Import the first N files only.")
@click.option("--address", default="", help="Where maestro's zip is downloaded from.")
@wait_option
@api_client
def import_dataset(
    client: ApiClient, sources: tuple[str, ...], name: str, limit: str, address: str, wait: bool
) -> None:
    """Import a dataset: the starter's chorales, MAESTRO, or MIDI files, folders and zips of this machine."""
    from webui.cli.uploading import find_files, upload

    values: dict[str, Any] = {"name": name, "files_limit": limit}
    if len(sources) == 1 and sources[0] in {"starter", "maestro"}:
        values["source"] = sources[0]
    else:
        files = find_files([Path(source) for source in sources])
        values |= {"source": "upload", "uploads": upload(client, files)}
        if not name:
            values["name"] = Path(sources[0]).resolve().stem
    if address:
        values["address"] = address
    dataset = client.send("POST", "/datasets", values)
    click.echo(f"dataset {dataset['id']}, job {dataset['job']['id']}: {dataset['name']}")
    if wait:
        from webui.cli.following import wait_for_job

        wait_for_job(client, dataset["job"]["id"])
        done = client.get(f"/datasets/{dataset['id']}")
        click.echo(f"{done['pieces']:,} pieces, {done['notes']:,} notes, {done['rejected']:,} files rejected")


@click.command()
@click.option("--search", default="", help="Only those whose name contains this text.")
@page_options
@json_option
@api_client
def datasets(client: ApiClient, search: str, page: str, per_page: str, as_json: bool) -> None:
    """List the datasets."""
    from webui.cli.tables import duration, moment, print_json, print_page, state_of

    answer = client.get("/datasets", search=search, page=page, per_page=per_page)
    if as_json:
        print_json(answer)
        return
    columns = {
        "id": lambda item: item["id"],
        "name": lambda item: item["name"],
        "state": lambda item: "ready" if item["ready"] else state_of(item["job"]),
        "pieces": lambda item: item["pieces"],
        "notes": lambda item: item["notes"],
        "length": lambda item: duration(item["seconds"]),
        "rejected": lambda item: item["rejected"],
        "created": lambda item: moment(item["created_at"]),
    }
    print_page(answer, columns, "There is no dataset yet; `cadenza import starter` makes one.")
