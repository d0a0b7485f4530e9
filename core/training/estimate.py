"""How long a training will take when a step takes so long, before it is submitted. Light: plain arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median

from core.training.flops import interval_events
from core.training.settings import EventSettings
from core.training.time_limit import Pace, TimeLimit, figure_steps

START_SECONDS = 6.0
"""Loading, encoding and compiling."""


def estimate_seconds(settings: EventSettings, stats: Mapping[str, float], step_seconds: float) -> float:
    """Likely seconds of a training within its time limit, early stopping left out.

    Args:
        settings: of a family over events.
        stats: as `training_flops` reads them.
        step_seconds: of one step, seen or predicted.
    """
    figures = -(-settings.steps // settings.evaluate_every)
    read = figures * interval_events(stats) + _last_events(stats)
    return min(START_SECONDS + (settings.steps + figure_steps(settings, read)) * step_seconds, settings.limit_seconds)


def fitting_steps(settings: EventSettings, stats: Mapping[str, float], step_seconds: float) -> int:
    """How many steps a training will likely plan within its time limit: all of them where there is none.

    Arguments as those of `estimate_seconds`.
    """
    if not settings.minutes:
        return settings.steps
    limit = TimeLimit(settings, int(interval_events(stats)), int(_last_events(stats)))
    return max(1, limit.plan(Pace(0, START_SECONDS, step_seconds, 1, 0.0)).steps)


def seen_step_seconds(
    settings: EventSettings, stats: Mapping[str, float], points: Sequence[tuple[int, float]]
) -> float:
    """Seconds of a step by a training's curve, its held-out figures taken out; 0 where nothing can be said.

    The median, since some steps have a pause and another start behind them.

    Args:
        settings: of that training.
        stats: of the dataset that it was on.
        points: steps done and seconds gone at each figure, in order.
    """
    figure = figure_steps(settings, interval_events(stats))
    each = [(ended - began) / (after - before + figure) for (before, began), (after, ended) in pairwise(points)]
    return max(median(each), 0.0) if each else 0.0


def _last_events(stats: Mapping[str, float]) -> float:
    """What the figure at the end reads beside it: all, where the curve's figures read a part."""
    held_out = stats.get("held_out_events", 0.0)
    return held_out if held_out > interval_events(stats) else 0.0
