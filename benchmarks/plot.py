"""Drawing measured points as an SVG picture that is readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

_Place = Callable[[float, float], tuple[float, float]]

_WIDTH, _HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 28, 36, 48


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes, both logarithmic.

    Attributes:
        title, x_name, y_name: what stands beside it.
        lines: name of each line to its points (x, y), all positive.
    """

    title: str
    x_name: str
    y_name: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


def to_svg(panels: Sequence[Panel]) -> str:
    """The panels side by side. The broken line through the last point has slope 1: cost that is proportional."""
    width = _WIDTH * len(panels)
    size = f'viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape('; '.join(panel.title for panel in panels))}</title>",
        f'<rect width="{width}" height="{_HEIGHT}" fill="#ffffff"/>',
    ]
    for number, panel in enumerate(panels):
        parts += [f'<g transform="translate({number * _WIDTH} 0)">', *_draw(panel), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _draw(panel: Panel) -> list[str]:
    points = [point for line in panel.lines.values() for point in line]
    x_low, x_high = _decades([x for x, _ in points])
    y_low, y_high = _decades([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - x_low) / (x_high - x_low)
        up = (math.log10(y) - y_low) / (y_high - y_low)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    drawn = [f'<text x="{_LEFT}" y="20" font-weight="bold" fill="#222222">{escape(panel.title)}</text>']
    for decade in range(x_low, x_high + 1):
        x, bottom = place(10.0**decade, 10.0**y_low)
        drawn.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="#dddddd"/>')
        drawn.append(
            f'<text x="{x:.1f}" y="{bottom + 16:.1f}" text-anchor="middle" fill="#444444">{10**decade:,}</text>'
        )
    for decade in range(y_low, y_high + 1):
        left, y = place(10.0**x_low, 10.0**decade)
        drawn.append(f'<line x1="{left:.1f}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#dddddd"/>')
        drawn.append(
            f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end" fill="#444444">{10.0**decade:,g}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    drawn.append(
        f'<text x="{middle}" y="{_HEIGHT - 12}" text-anchor="middle" fill="#222222">{escape(panel.x_name)}</text>'
    )
    drawn.append(
        f'<text transform="translate(14 {_HEIGHT / 2}) rotate(-90)" text-anchor="middle" fill="#222222">'
        f"{escape(panel.y_name)}</text>"
    )
    for color, (name, line) in zip(("#1f6feb", "#bf5b00", "#1a7f37"), panel.lines.items(), strict=False):
        drawn += [_slope_one(line, place, 10.0**x_low, 10.0**y_low), *_line(name, line, place, color)]
    return drawn


def _line(name: str, line: Sequence[tuple[float, float]], place: _Place, color: str) -> list[str]:
    placed = [place(x, y) for x, y in line]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    circles = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in placed]
    x, y = placed[-1]
    label = f'<text x="{x - 8:.1f}" y="{y - 6:.1f}" text-anchor="end" fill="{color}">{escape(name)}</text>'
    return [f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>', *circles, label]


def _slope_one(line: Sequence[tuple[float, float]], place: _Place, x_least: float, y_least: float) -> str:
    x, y = line[-1]
    start = max(x_least, x * y_least / y)
    (x1, y1), (x2, y2) = place(start, y * start / x), place(x, y)
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#888888" stroke-dasharray="4 4"/>'


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)
