"""Rows as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import families_table
from benchmarks.harness import Row
from benchmarks.stages import PROGRAMS

_HEAD = (
    "| stage | ours | peer | ratio | physical limit | share | goal | met | measured |",
    "|---|---|---|---|---|---|---|---|---|",
)


def to_markdown(machine: str, rows: Sequence[tuple[str, Row]], families: Mapping[str, Any] | None = None) -> str:
    """The whole page.

    Args:
        machine: what was measured on.
        rows: each with the day it was measured, in the order of the table.
        families: what `bench_families` gave on the same machine, if it was run.
    """
    lines = [
        "# Results of the benchmarks",
        "",
        f"Measured on: {machine}.",
        "",
        "`make bench` measures anew and writes this page; ours and the peer run in turns in one program on the same",
        "input, and medians are shown. The first runs, which load and compile, are left out on both sides and stated",
        "below the table, unless the stage is said to start from cold. What stands in the way of goals that are not",
        "met is said in [docs/speed.md](../docs/speed.md).",
        "",
        *_HEAD,
        *(_line(day, row) for day, row in rows),
        "",
    ]
    measured = {row.stage for _, row in rows}
    missing = (
        [] if families else ["the families, trained for the same time on the same music (`make bench ONLY=families`)"]
    )
    missing += [stage for stages in PROGRAMS.values() for stage in stages if stage not in measured]
    if missing:
        lines += ["## Not measured", ""]
        lines += [f"- {stage}" for stage in missing]
        lines.append("")
    if families:
        lines += [families_table.to_markdown(families), ""]
    lines += ["## Notes", ""]
    for _, row in rows:
        title = f"{row.stage}; {row.peer}" if row.peer else row.stage
        lines += [f"- **{title}**: {note}." for note in ["; ".join(row.notes)] if note]
    return "\n".join(lines) + "\n"


def _line(day: str, row: Row) -> str:
    peer = "" if not row.peer else row.peer if row.peer_value is None else f"{row.peer}: {_figure(row.peer_value)}"
    limit = f"{_figure(row.limit)} ({row.limit_name})" if row.limit else ""
    met = {True: "yes", False: "no", None: ""}[row.met]
    cells = (
        row.stage,
        f"{_figure(row.ours)} {row.unit}",
        peer,
        f"{_figure(row.ratio)} ×" if row.ratio else "",
        limit,
        f"{row.share:.0%}" if row.share else "",
        row.goal,
        met,
        day,
    )
    return f"| {' | '.join(cells)} |"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
