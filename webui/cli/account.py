"""`cadenza sign-in`, `sign-out` and `whoami`: how the command line shows who it works for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from webui.cli.options import api_client

if TYPE_CHECKING:
    from webui.cli.client import ApiClient


@click.command("sign-in")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the token from standard input, for scripts.")
@api_client
def sign_in(client: ApiClient, from_stdin: bool) -> None:
    """Keep a token for a server; make one on the page of your account."""
    from webui.cli.refusal import Refusal
    from webui.cli.token_store import store_token, token_file

    click.echo(f"Make a token at {client.address}/account, and paste it here.", err=True)
    token = (sys.stdin.readline() if from_stdin else _asked()).strip()
    client.use_token(token)
    who = client.get("/me")
    if who["via"] == "local":
        raise Refusal(f"Cadenza at {client.address} has no accounts, so it needs no token.")
    store_token(client.address, token)
    click.echo(f"{who['name']} ({who['role']}), token {who['via']}: kept in {token_file()}, readable by you only.")


def _asked() -> str:
    typed: str = click.prompt("Token", hide_input=True)
    return typed


@click.command("sign-out")
@api_client
def sign_out(client: ApiClient) -> None:
    """Forget the token for a server; revoke it on the page of your account to end it."""
    from webui.cli.token_store import store_token, stored_token

    known = bool(stored_token(client.address))
    store_token(client.address, "")
    click.echo(f"The token for {client.address} is forgotten." if known else "There was no token to forget.")


@click.command()
@api_client
def whoami(client: ApiClient) -> None:
    """Show for whom the command line works, and what it may do."""
    who = client.get("/me")
    click.echo(f"{who['name']} ({who['role']}), by {who['via']}; may {', '.join(who['rights'])}")
