"""What ends a client command with a sentence. Light: `cadenza --help` loads nothing more."""

from __future__ import annotations

from typing import IO, Any

import click


class Refusal(click.ClickException):
    """What the server refused, or why it cannot be asked; shown in red, exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the sentence on stderr."""
        click.secho(self.format_message(), fg="red", err=True, file=file)
