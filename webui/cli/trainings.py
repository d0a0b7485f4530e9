"""`cadenza train`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from webui.cli.options import api_client, place_options, settings_of, wait_option

if TYPE_CHECKING:
    from webui.cli.client import ApiClient


@click.command()
@click.option("--dataset", required=True, metavar="D", help="Number, name or start of the hash of a dataset.")
@click.option("--family", default="lstm", show_default=True, help="Model family.")
@click.option("--preset", default="", metavar="NAME", help="A preset of the family, such as Starter.")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A setting, such as units=512; repeatable.")
@click.option("--name", default="", help="What the training and its model are called.")
@click.option("--no-evaluation", is_flag=True, help="No evaluation of the model follows by itself.")
@place_options
@wait_option
@api_client
def train(
    client: ApiClient, dataset: str, pairs: tuple[str, ...], no_evaluation: bool, wait: bool, **chosen: str
) -> None:
    """Train a model on a dataset."""
    from webui.cli.tables import duration

    values: dict[str, Any] = {"dataset": dataset, "settings": settings_of(pairs), "evaluate": not no_evaluation}
    values |= chosen
    estimate = client.send("POST", "/trainings/estimate", values)
    steps = "" if estimate["steps"] is None else f" for {estimate['steps']:,} steps"
    click.echo(f"This will take about {duration(estimate['seconds'])}{steps}.", err=True)
    if estimate["advice"]:
        click.echo(estimate["advice"], err=True)
    training = client.send("POST", "/trainings", values)
    click.echo(f"training {training['id']}, job {training['job']['id']}: {training['name']}")
    if wait:
        from webui.cli.following import wait_for_job

        wait_for_job(client, training["job"]["id"])
        done = client.get(f"/trainings/{training['id']}")
        click.echo(f"model {done['model_id']}: {done['name']}")
        for figure, value in sorted(done["figures"].items()):
            click.echo(
                f"  {figure.replace('_', ' ')}: {value:.4f}" if isinstance(value, float) else f"  {figure}: {value}"
            )
