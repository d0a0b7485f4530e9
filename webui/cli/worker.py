"""`cadenza worker`: run one, and steer those that run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from webui.cli.options import api_client, json_option
from webui.cli.parts import become

if TYPE_CHECKING:
    from webui.cli.client import ApiClient


@click.group(invoke_without_command=True)
@click.option("--queue", "queues", multiple=True, metavar="QUEUE", help="training, generation or light.")
@click.option("--name", default="", help="A name that no other worker has.")
@click.option("--gpus", default="", metavar="GPUS", help="One worker for each GPU: auto, or numbers such as 0,2.")
@click.option("--together", is_flag=True, help="With --gpus: one worker for all, to train on all at once.")
@click.pass_context
def worker(context: click.Context, queues: tuple[str, ...], name: str, gpus: str, together: bool) -> None:
    """Run one worker (give --queue several times to serve several), or steer those that run."""
    if context.invoked_subcommand is not None:
        return
    if not queues:
        raise click.UsageError(
            "--queue is needed: training, generation or light; give it several times to serve several."
        )
    named = ["--name", name] if name else []
    on = [*(["--gpus", gpus] if gpus else []), *(["--together"] if together else [])]
    become("worker", *(word for queue in queues for word in ("--queue", queue)), *named, *on)


@worker.command("list")
@json_option
@api_client
def list_workers(client: ApiClient, as_json: bool) -> None:
    """List the workers, those that are gone included."""
    from webui.cli.queue import print_workers

    print_workers(client, as_json)


@worker.command()
@click.argument("name", metavar="NAME")
@api_client
def drain(client: ApiClient, name: str) -> None:
    """Let a worker finish what it runs and take nothing new, until it is resumed."""
    from webui.cli.queue import drain_worker

    drain_worker(client, name, draining=True)


@worker.command()
@click.argument("name", metavar="NAME")
@api_client
def resume(client: ApiClient, name: str) -> None:
    """Let a drained worker take work again."""
    from webui.cli.queue import drain_worker

    drain_worker(client, name, draining=False)
