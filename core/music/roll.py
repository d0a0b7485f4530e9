"""Piano rolls: a small picture of a piece, and the columns from which a browser draws and plays it."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from core.music.notes import Notes

_MOST_DRAWN = 2000
_MARGIN = 3
_FEWEST_ROWS = 24
# Mid-tones that stand out from white and from black alike; soft, middle, loud.
_COLOURS = ("#9a8fe0", "#7565d8", "#d0569a")
_LOUDER_FROM = (56, 88)


def roll_svg(notes: Notes, *, width: int = 320, height: int = 96, title: str = "") -> str:
    """A piece as a standalone SVG: time to the right, pitch upwards, colour by loudness, no background.

    One path for each of three velocity classes, so that 300 notes take about 4 KB. From 2,000 notes on, notes that
    fall on the same pixel and pitch are drawn once, and what is then still too many is thinned out evenly.

    Args:
        notes: what to draw; none gives an empty picture.
        width: pixels, at least 16.
        height: pixels, at least 16.
        title: what a screen reader says; escaped here.
    """
    label = escape(title or f"Piano roll of {len(notes):,} notes")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{label}"><title>{label}</title>'
    )
    if not len(notes):
        return head + "</svg>"
    low, high = int(notes.pitch.min()), int(notes.pitch.max())
    rows = max(high - low + 1, _FEWEST_ROWS)
    top = high + (rows - (high - low + 1)) // 2
    row_height = (height - 2 * _MARGIN) / rows
    scale = (width - 2 * _MARGIN) / max(notes.end_seconds, 1e-3)
    x = np.round(_MARGIN + notes.onset_seconds * scale, 1)
    length = np.round(np.maximum(notes.duration_seconds * scale, 0.8), 1)
    y = np.round(_MARGIN + (top - notes.pitch.astype(np.int64) + 0.5) * row_height, 1)
    loudness = np.digitize(notes.velocity, _LOUDER_FROM)
    kept = _thinned(np.rint(x).astype(np.int64), notes.pitch, notes.duration_seconds)
    paths = [
        f'<path stroke="{colour}" d="{_path(x[rows_], y[rows_], length[rows_])}"/>'
        for level, colour in enumerate(_COLOURS)
        if len(rows_ := kept[loudness[kept] == level])
    ]
    stroke = f'<g fill="none" stroke-width="{max(round(row_height * 0.9, 1), 1.7)}">'
    return head + stroke + "".join(paths) + "</g></svg>"


def roll_columns(notes: Notes) -> dict[str, list[int]]:
    """The columns as JSON-ready lists of integers: `start_ms`, `duration_ms` (at least 1), `pitch`, `velocity`."""
    start = np.rint(notes.onset_seconds * 1000).astype(np.int64)
    duration = np.maximum(np.rint(notes.duration_seconds * 1000).astype(np.int64), 1)
    return {
        "start_ms": start.tolist(),
        "duration_ms": duration.tolist(),
        "pitch": notes.pitch.tolist(),
        "velocity": notes.velocity.tolist(),
    }


def _thinned(pixel: NDArray[np.int64], pitch: NDArray[np.uint8], duration: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows to draw, ascending: all of them up to `_MOST_DRAWN`, else the longest of each pixel and pitch, thinned."""
    rows = np.arange(len(pixel))
    if len(rows) <= _MOST_DRAWN:
        return rows
    longest_first = np.argsort(-duration, kind="stable")
    _, first = np.unique((pixel * 128 + pitch)[longest_first], return_index=True)
    rows = np.sort(longest_first[first])
    if len(rows) <= _MOST_DRAWN:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _MOST_DRAWN).astype(np.int64)]


def _path(x: NDArray[np.float64], y: NDArray[np.float64], length: NDArray[np.float64]) -> str:
    return "".join(
        f"M{left:g} {middle:g}h{wide:g}"
        for left, middle, wide in zip(x.tolist(), y.tolist(), length.tolist(), strict=True)
    )
