"""Options that the client commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def api_client(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--url` and hand the command an `ApiClient` as its first argument."""

    @click.option("--url", envvar="CADENZA_URL", metavar="ADDRESS", help="Server; else the one running on this data.")
    @wraps(command)
    def with_client(url: str | None, **arguments: Any) -> Any:
        from webui.cli.client import ApiClient

        with ApiClient.of(url) as client:
            return command(client, **arguments)

    return with_client


def json_option(command: Command) -> Command:
    """Add `--json`: print the API's answer as it is, for scripts."""
    return click.option("--json", "as_json", is_flag=True, help="Print the API's answer, for scripts.")(command)


def wait_option(command: Command) -> Command:
    """Add `--wait`: stay until the job has ended."""
    return click.option("--wait", is_flag=True, help="Show the progress until it has ended.")(command)


def place_options(command: Command) -> Command:
    """Add `--priority` and `--start-at`."""
    start_at = click.option("--start-at", default="", metavar="TIME", help="Not before it, such as 2026-12-24T18:00Z.")
    levels = click.Choice(["low", "normal", "high"])
    priority = click.option("--priority", type=levels, default="normal", show_default=True, help="high needs a right.")
    return priority(start_at(command))


def page_options(command: Command) -> Command:
    """Add `--page` and `--per-page`."""
    command = click.option("--per-page", default="50", show_default=True, metavar="N", help="Lines on a page.")(command)
    return click.option("--page", default="1", show_default=True, metavar="N", help="Which page.")(command)


def run_by_default(context: click.Context, command: click.Command) -> None:
    """Run a command of a group as if it had been named; `invoke` would leave out what options take from variables."""
    with command.make_context(command.name, [], parent=context) as inside:
        command.invoke(inside)


def settings_of(pairs: Sequence[str]) -> dict[str, str]:
    """Settings written as NAME=VALUE.

    Raises:
        click.UsageError: one is written otherwise, or named twice.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise click.UsageError(f"--set {pair!r} is refused; write NAME=VALUE, such as units=512.")
        if name.strip() in settings:
            raise click.UsageError(f"--set {name.strip()} is given twice; name each setting once.")
        settings[name.strip()] = value.strip()
    return settings
