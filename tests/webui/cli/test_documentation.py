"""docs/command-line.md names each command and option that there is, and no other."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from webui.cli import main

_PAGE = Path(__file__).resolve().parents[3] / "docs" / "command-line.md"


def test_every_command_and_option_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| `(cadenza [^`]+)` \| [^|]+ \|([^|]*)\|$", _PAGE.read_text(), flags=re.MULTILINE)
    documented = {name: set(re.findall(r"`(--[a-z-]+)`", options)) for name, options in rows}
    assert len(documented) == len(rows)
    assert documented == dict(_commands("cadenza", main))


def test_examples_are_commands_that_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        line for block in re.findall(r"```sh\n(.*?)```", _PAGE.read_text(), re.DOTALL) for line in block.split("\n")
    ]
    examples = [shlex.split(line)[1:] for line in lines if line.startswith("cadenza ")]
    assert len(examples) > 4
    for example in examples:
        command, name, words = _command_of(example)
        # Files of the example need not be there; everything else about the line is checked.
        for parameter in command.params:
            if isinstance(parameter.type, click.Path):
                monkeypatch.setattr(parameter.type, "exists", False)
        with command.make_context(name, list(words)) as context:
            assert context.params or isinstance(command, click.Group)


def _command_of(words: list[str]) -> tuple[click.Command, str, list[str]]:
    """The command that a line calls, however deep in groups, its name, and the words that are left."""
    command: click.Command | None = main
    name = "cadenza"
    while isinstance(command, click.Group) and words:
        name, *words = words
        command = command.get_command(click.Context(command), name)
    assert command is not None
    return command, name, words


def _commands(name: str, command: click.Command) -> Iterator[tuple[str, set[str]]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        inside: list[Any] = [command.get_command(context, each) for each in command.list_commands(context)]
        for each, sub in zip(command.list_commands(context), inside, strict=True):
            yield from _commands(f"{name} {each}", sub)
        if command is main:
            return
    options = {option for each in command.params for option in each.opts if option.startswith("--")}
    yield name, options
