"""The families' figures as a table of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation.defects import likely_range

_HEADS = (
    "family",
    "parameters",
    "training",
    "generation",
    "nats per event",
    "per note",
    "per second",
    "overlap",
    "defects per 1,000 takes",
    "flagged as copies",
    "longest shared passage, median",
)


def to_markdown(table: Mapping[str, Any]) -> str:
    """The section of `RESULTS.md`.

    Args:
        table: `corpus`, `seconds` of training, `takes`, `rows` as `bench_families` gives them, and perhaps `date`,
            `warning` and a `note` put in by hand; `version` of the definitions, of which tables without it have the
            first.
    """
    rows = table["rows"]
    day = f" Measured {table['date']}." if table.get("date") else ""
    warning = table.get("warning", "")
    lines = [
        "## The families",
        "",
        f"Each family's smallest preset, trained for {table['seconds']:g} s on {table['corpus']}: one after the other,",
        f"each alone on the machine, the learning rate's schedule laid over the steps that fit.{day}",
        *([table["note"]] if table.get("note") else []),
        "",
        _cells(*_HEADS),
        f"|{'---|' * len(_HEADS)}",
        *(_line(row, table["takes"]) for row in rows),
        *_beside(rows[0] if rows else None),
        "",
        "Held-out figures are over whole validation pieces with the state carried along; begin and end marks are not",
        "counted. The same pieces chose each training's best checkpoint, so these figures are a little lower than on",
        "pieces that decided nothing; that is so of every family alike. Overlap is the mean over the measures;",
        f"{table['takes']} takes of 200 notes each; in brackets between what a count in a thousand lies with 95 %",
        f"confidence. One training of each, so that small differences mean little. {_copies(rows)}{_hanging(table)}",
        "Compiling and held-out figures come on top of a training's seconds. Generation counts the notes of all those",
        "takes. `tutorial` predicts one note for each window, so its training counts notes, and it has no likelihood",
        "over events; its takes continue a held-out piece.",
        "",
        *(f"- **{row['family']}**: {row['training']}." for row in rows),
        *([f"- {warning}."] if warning else []),
    ]
    return "\n".join(lines)


def _copies(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows or "real_excerpts" not in rows[0]:
        return "A take is flagged as a copy from a length that excerpts of unrelated real pieces seldom share."
    row = rows[0]
    reached = round(row["real_flagged"] * row["real_excerpts"])
    beside = row.get("real_of_training", 0)
    others = f" ({beside} of them training pieces', each held against all others)" if beside else ""
    return (
        f"A take is flagged as a copy from {row['threshold']} shared notes on, which {reached or 'none'} of "
        f"{row['real_excerpts']} excerpts of unrelated real pieces{others} {'reach' if reached > 1 else 'reaches'}."
        f"{_related(row)}"
    )


def _related(row: Mapping[str, Any]) -> str:
    """How far the held-out pieces are not as new as they seem, where it was counted."""
    if "related" not in row:
        return ""
    return (
        f" Of the {row['held_out_pieces']} held-out pieces {row['related']} share more than a quarter of an excerpt "
        "with a training piece (the same chorale in another key or setting): new they are to no family."
    )


def _hanging(table: Mapping[str, Any]) -> str:
    """What tables of the first version's definitions leave out."""
    if table.get("version", 1) > 1:
        return ""
    return " Of hanging notes only those of 15 s or more were counted, which no take limited to 8 s can have."


def _line(row: Mapping[str, Any], takes: int) -> str:
    nats = (row[name] for name in ("nats_per_event", "nats_per_note", "nats_per_second"))
    return _cells(
        f"`{row['family']}`",
        f"{row['parameters']:,}",
        f"{row['training_rate']:,.0f} {row['rate_unit']}/s",
        f"{row['notes_per_second']:,.0f} notes/s",
        *("" if value is None else f"{value:.3f}" for value in nats),
        f"{row['overlap']:.3f}",
        "{:.0f} ({:.0f} to {:.0f})".format(row["defects"], *likely_range(row["defects"], takes)),
        f"{row['flagged']:.1%}",
        f"{row['longest']:.0f} notes",
    )


def _beside(row: Mapping[str, Any] | None) -> list[str]:
    """What real music and random notes reach, which is the same beside every family."""
    if row is None:
        return []
    real, random = row["beside"]["real"], row["beside"]["random"]
    shared = (f"{row['real_flagged']:.1%}", f"{row['real_longest']:.0f} notes")
    return [
        _cells("real pieces", *[""] * 6, f"{real['overlap']:.3f}", f"{real['defects']:.0f}", *shared),
        _cells("random notes", *[""] * 6, f"{random['overlap']:.3f}", f"{random['defects']:.0f}", "", ""),
    ]


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
