"""Charts of evaluations: densities of a measure, losses of trainings, shared passages, curves laid over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.evaluation.features import FEATURES
from core.evaluation.overlap import density
from core.services.loss_curves import LossCurve, curve_difference
from webui.pages.curve_axis import is_timed, places

_POINTS = 160
_MARGIN = 0.08
_LONGEST_NAME = 32


def density_chart(name: str, results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How a measure is distributed: a curve for the takes of each evaluation, one for real music, one for random notes.

    Args:
        name: of a feature that is a number.
        results: name of the curve to the results of an evaluation.
    """
    feature = FEATURES[name]
    curves: dict[str, list[float]] = {}
    real: list[float] = []
    random: list[float] = []
    for title, parts in results.items():
        values = parts.get("music", {}).get("values", {}).get(name, {})
        if values.get("takes"):
            curves[title] = values["takes"]
        real = real or [*values.get("reference", []), *values.get("real", [])]
        random = random or values.get("random", [])
    shown = {**curves, **({"real music": real} if real else {}), **({"random notes": random} if random else {})}
    everything = np.array([value for values in shown.values() for value in values])
    series = []
    if len(everything) and everything.max() > everything.min():
        spread = float(everything.max() - everything.min())
        points = np.linspace(everything.min() - _MARGIN * spread, everything.max() + _MARGIN * spread, _POINTS)
        for title, values in shown.items():
            heights = density(np.array(values), points, _width(values, spread))
            dash = {"real music": "dash", "random notes": "dot"}.get(title, "solid")
            series.append({"name": title, "dash": dash, "x": _short(points), "y": _short(heights)})
    unit = f" ({feature.unit})" if feature.unit else ""
    return {"x_title": f"{feature.title}{unit}", "y_title": "Density", "series": series}


def originality_chart(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Of how many takes, and of how many real excerpts, the longest shared passage has so many notes or more."""
    series = []
    unrelated: list[float] = []
    for title, parts in results.items():
        found = parts.get("originality", {})
        if found.get("takes"):
            series.append(_at_least(title, found["takes"], "solid"))
        unrelated = unrelated or found.get("lengths", [])
    if series and unrelated:
        series.append(_at_least("unrelated real music", unrelated, "dash"))
    return {"x_title": "Notes shared, or more", "y_title": "Percent", "series": series}


def loss_chart(curves: Mapping[int, LossCurve], names: Mapping[int, str], by: str) -> dict[str, Any]:
    """The held-out loss of several trainings over their steps ("step") or the minutes that they ran ("time").

    Of different music, each curve's name tells which.
    """
    series = []
    differ = bool(curve_difference(curves))
    for number, curve in curves.items():
        y = [point.values["held_out_nats_per_event"] for point in curve.points]
        name = curve_name(names[number], number)
        if differ:
            name += f" on {_cut(curve.dataset_name)}"
        if by == "time" and not is_timed(curve.points):
            name += ", since its first figure"
        series.append({"name": name, "x": places(curve.points, by), "y": y})
    return {
        "x_title": "Minutes of training" if by == "time" else "Step",
        "x_from_zero": by == "time",
        "y_title": "Held-out nats per event",
        "series": series,
    }


def curve_name(name: str, number: int) -> str:
    """A model's name and number in a legend; a long name is cut, so that the number can be read."""
    return f"{_cut(name)} ({number})"


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _at_least(name: str, lengths: Sequence[float], dash: str) -> dict[str, Any]:
    ordered = np.sort(np.asarray(lengths, float))
    places = np.unique(ordered)
    shares = 100 * (len(ordered) - np.searchsorted(ordered, places)) / len(ordered)
    return {"name": name, "dash": dash, "x": _short(places), "y": _short(shares)}


def _width(values: Sequence[float], spread: float) -> float:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return float(max(deviation * len(values) ** -0.2, spread / 100))


def _short(values: Any) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
