"""How long a training will take when a step takes so long, before it is submitted. Light: plain arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from statistics import median

from core.modeling.shapes import hidden_matrices, weight_shapes
from core.training.event_settings import MUON_ITERATIONS
from core.training.settings import (
    EventSettings,
    FamilySettings,
    RecurrentSettings,
    TransformerSettings,
    TutorialSettings,
)
from core.training.time_limit import Pace, TimeLimit, figure_steps

START_SECONDS = 6.0
"""Loading, encoding and compiling."""

# One pass forward and two for the gradients, two operations for each weight and event.
_OPERATIONS = 6.0
# A held-out pass has no gradients: a third of the work for each event.
_FORWARD_SHARE = 1 / 3
_MOST_INTERVAL_EVENTS = 200_000


def training_flops(settings: FamilySettings, stats: Mapping[str, float]) -> float:
    """Floating point operations of all matrix products of a whole training, its held-out figures included.

    Args:
        settings: of any family.
        stats: of the dataset: `notes` to train on, `held_out_events`, `windows` (`tutorial`: windows in the chosen
            pieces). What is missing counts as 0, `windows` as `notes`.
    """
    products = sum(
        prod(shape) for name, shape in weight_shapes(settings).items() if len(shape) > 1 and name != "embedding"
    )
    if isinstance(settings, EventSettings):
        per_event = products
        if isinstance(settings, RecurrentSettings):
            # The first layer's kernel meets the 390 events of the vocabulary, not the windows' events.
            per_event -= prod(weight_shapes(settings)[f"{settings.family}_0.kernel"])
        if isinstance(settings, TransformerSettings):
            # Each query meets every key of the window, and each of those weights a value.
            per_event += 2 * settings.layers * settings.units * settings.window
        events = settings.steps * settings.batch_size * settings.window
        evaluations = -(-settings.steps // settings.evaluate_every)
        held_out = _interval_events(stats) * evaluations
        return _OPERATIONS * per_event * (events + _FORWARD_SHARE * held_out) + settings.steps * muon_flops(settings)
    if isinstance(settings, TutorialSettings):
        windows = stats.get("windows", stats.get("notes", 0.0)) * settings.epochs
        return _OPERATIONS * products * settings.window * windows
    raise TypeError(f"no estimate is known for the family {settings.family!r}")


def estimate_seconds(settings: EventSettings, stats: Mapping[str, float], step_seconds: float) -> float:
    """Likely seconds of a training within its time limit, early stopping left out.

    Args:
        settings: of a family over events.
        stats: as `training_flops` reads them.
        step_seconds: of one step, seen or predicted.
    """
    figures = -(-settings.steps // settings.evaluate_every)
    read = figures * _interval_events(stats) + _last_events(stats)
    return min(START_SECONDS + (settings.steps + figure_steps(settings, read)) * step_seconds, settings.limit_seconds)


def fitting_steps(settings: EventSettings, stats: Mapping[str, float], step_seconds: float) -> int:
    """How many steps a training will likely plan within its time limit: all of them where there is none.

    Arguments as those of `estimate_seconds`.
    """
    if not settings.minutes:
        return settings.steps
    limit = TimeLimit(settings, int(_interval_events(stats)), int(_last_events(stats)))
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
    figure = figure_steps(settings, _interval_events(stats))
    each = [(ended - began) / (after - before + figure) for (before, began), (after, ended) in pairwise(points)]
    return max(median(each), 0.0) if each else 0.0


def muon_flops(settings: EventSettings) -> float:
    """Of the orthogonal updates of one step, which do not depend on its batch."""
    if settings.optimizer != "muon":
        return 0.0
    shapes, operations = weight_shapes(settings), 0.0
    for name, count in hidden_matrices(settings).items():
        *rows, columns = shapes[name]
        short, long = sorted((prod(rows), columns // count))
        operations += count * MUON_ITERATIONS * 2 * (2 * short**2 * long + short**3)
    return operations


def _interval_events(stats: Mapping[str, float]) -> float:
    """What a figure of the curve reads."""
    return min(stats.get("held_out_events", 0.0), _MOST_INTERVAL_EVENTS)


def _last_events(stats: Mapping[str, float]) -> float:
    """What the figure at the end reads beside it: all, where the curve's figures read a part."""
    held_out = stats.get("held_out_events", 0.0)
    return held_out if held_out > _MOST_INTERVAL_EVENTS else 0.0
