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
    for name, *words in examples:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        # Files of the example need not be there; everything else about the line is checked.
        for parameter in command.params:
            if isinstance(parameter.type, click.Path):
                monkeypatch.setattr(parameter.type, "exists", False)
        with command.make_context(name, list(words)) as context:
            assert context.params or isinstance(command, click.Group)


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
