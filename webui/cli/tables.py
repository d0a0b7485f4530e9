"""Lists as tables for people and as JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_PIPED_WIDTH = 200
_STATE_COLOURS = {"running": "blue", "succeeded": "green", "failed": "red", "cancelled": "yellow"}


def print_json(answer: Any) -> None:
    """The API's answer, indented."""
    click.echo(json.dumps(answer, indent=2))


def print_page(answer: Mapping[str, Any], columns: Mapping[str, Callable[[dict[str, Any]], Any]], empty: str) -> None:
    """One page of a list: a column for each name and how to get its text from an item."""
    if not answer["items"]:
        click.echo(empty)
        return
    console = Console()
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name)
    for item in answer["items"]:
        table.add_row(*(_cell(read(item)) for read in columns.values()))
    console.print(table)
    pages = max(1, -(-answer.get("total", 0) // answer.get("per_page", 1)))
    if pages > 1:
        click.echo(f"page {answer['page']} of {pages}, {answer['total']:,} in all; --page shows another")


def state_of(job: Mapping[str, Any] | None) -> str:
    """A job's state in colour, with its progress while it runs."""
    if job is None:
        return ""
    state = "paused" if job["paused"] and job["state"] in {"queued", "running"} else str(job["state"])
    shown = f"[{_STATE_COLOURS[state]}]{state}[/]" if state in _STATE_COLOURS else state
    if job["state"] == "running" and job["progress_total"]:
        shown += f" {job['progress_done'] / job['progress_total']:.0%}"
    return shown


def moment(text: str | None) -> str:
    """A moment of the API as local time."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M") if text else ""


def duration(seconds: float | None) -> str:
    """`4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def _cell(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if text.startswith(tuple(f"[{colour}]" for colour in _STATE_COLOURS.values())) else escape(text)
