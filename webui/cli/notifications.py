"""`cadenza notifications`: of what one is told, by which ways, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from webui.cli.numbers import number_in_path
from webui.cli.options import api_client, json_option, page_options, run_by_default

if TYPE_CHECKING:
    from webui.cli.client import ApiClient

_WAYS = ("browser", "email", "webhook")


@click.group(invoke_without_command=True)
@click.pass_context
def notifications(context: click.Context) -> None:
    """Be told when your jobs end: choose, test, and see what was sent."""
    if context.invoked_subcommand is None:
        run_by_default(context, show)


@notifications.command()
@json_option
@api_client
def show(client: ApiClient, as_json: bool) -> None:
    """Show what you are told of, and how."""
    from webui.cli.tables import print_json

    answer = client.get("/notifications")
    if as_json:
        print_json(answer)
        return
    ends = [name for name, words in (("failures", "failed"), ("successes", "finished")) if answer[words]]
    after = f" (successes only after {answer['min_minutes']:g} min)" if answer["finished"] else ""
    click.echo(f"told of: {' and '.join(ends) or 'nothing'}{after}")
    where = {"browser": "open pages", "email": answer["email_address"] or "the address of your account"}
    where["webhook"] = answer["webhook_url"] or "no address"
    for way in _WAYS:
        click.echo(f"{way}: {'on' if answer[way] else 'off'}, {where[way]}")


@notifications.command("set")
@click.option("--finished/--no-finished", default=None, help="Jobs that succeeded.")
@click.option("--failed/--no-failed", default=None, help="Jobs that failed.")
@click.option("--min-minutes", metavar="N", help="Only successes that took longer.")
@click.option("--browser/--no-browser", default=None, help="On open pages.")
@click.option("--email/--no-email", default=None, help="By e-mail.")
@click.option("--email-address", metavar="ADDRESS", help="Instead of your account's.")
@click.option("--webhook/--no-webhook", default=None, help="By a signed POST.")
@click.option("--webhook-url", metavar="ADDRESS", help="Where that goes.")
@api_client
def choose(client: ApiClient, **given: Any) -> None:
    """Choose what you are told of; what is left out stays."""
    values = {name: value for name, value in given.items() if value is not None}
    if not values:
        raise click.UsageError("Nothing to change was given, such as --webhook or --no-finished; see --help.")
    answer = client.send("PATCH", "/notifications", values)
    click.echo("Saved.")
    _tell_secret(answer)


@notifications.command()
@api_client
def secret(client: ApiClient) -> None:
    """Make a new secret for the webhook; the former one signs too for a day."""
    _tell_secret(client.send("POST", "/notifications/secret"))


@notifications.command()
@click.argument("way", type=click.Choice(_WAYS))
@api_client
def test(client: ApiClient, way: str) -> None:
    """Send a message that tells of nothing, to see whether it arrives."""
    delivery = client.send("POST", "/notifications/test", {"way": way})
    where = "open pages show it" if way == "browser" else "`cadenza notifications deliveries` shows what becomes of it"
    click.echo(f"delivery {delivery['id']} is on its way; {where}.")


@notifications.command()
@page_options
@json_option
@api_client
def deliveries(client: ApiClient, page: str, per_page: str, as_json: bool) -> None:
    """List e-mails and webhooks, the newest first."""
    from webui.cli.tables import moment, print_json, print_page

    answer = client.get("/notifications/deliveries", page=page, per_page=per_page)
    if as_json:
        print_json(answer)
        return
    columns = {
        "id": lambda item: str(item["id"]),
        "way": lambda item: item["way"],
        "event": lambda item: item["event"],
        "about": lambda item: item["job"]["title"] if item["job"] else "",
        "state": lambda item: item["state"],
        "attempts": lambda item: str(item["attempts"]),
        "written": lambda item: moment(item["created_at"]),
        "error": lambda item: item["error"],
    }
    print_page(answer, columns, "Nothing was sent yet.")


@notifications.command()
@click.argument("delivery_id", metavar="ID")
@api_client
def again(client: ApiClient, delivery_id: str) -> None:
    """Send a failed delivery again."""
    number = number_in_path(delivery_id, "delivery")
    client.send("POST", f"/notifications/deliveries/{number}/again")
    click.echo(f"delivery {number} is sent again")


def _tell_secret(answer: dict[str, Any]) -> None:
    if answer["secret"]:
        click.echo(f"The webhook's secret, shown this once: {answer['secret']}")
