"""Numbers and references that people type, as the API's paths need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from webui.cli.client import ApiClient


def number_in_path(text: str, noun: str) -> int:
    """A row's number.

    Raises:
        click.UsageError: it is none.
    """
    if not (text.isascii() and text.isdigit() and 0 < int(text[:11]) < 2**31):
        raise click.UsageError(f"{text[:40]!r} is no number of a {noun}; the lists show the numbers.")
    return int(text)


def model_by(client: ApiClient, reference: str) -> dict[str, Any]:
    """The model of a number, name or start of a hash.

    Raises:
        Refusal: none or several fit.
    """
    found: dict[str, Any] = client.get("/models", reference=reference)["items"][0]
    return found
