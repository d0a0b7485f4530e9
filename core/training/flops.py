"""How many floating point operations a training's matrix products are. Light: plain arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from core.modeling.shapes import hidden_matrices, weight_shapes
from core.training.event_settings import MUON_ITERATIONS
from core.training.settings import (
    EventSettings,
    FamilySettings,
    RecurrentSettings,
    TransformerSettings,
    TutorialSettings,
)

MOST_INTERVAL_EVENTS = 200_000
"""A figure of the curve reads no more of the held-out events; here, since estimates count them without Keras."""

# One pass forward and two for the gradients, two operations for each weight and event.
_OPERATIONS = 6.0
# A held-out pass has no gradients: a third of the work for each event.
_FORWARD_SHARE = 1 / 3


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
        held_out = interval_events(stats) * evaluations
        return _OPERATIONS * per_event * (events + _FORWARD_SHARE * held_out) + settings.steps * muon_flops(settings)
    if isinstance(settings, TutorialSettings):
        windows = stats.get("windows", stats.get("notes", 0.0)) * settings.epochs
        return _OPERATIONS * products * settings.window * windows
    raise TypeError(f"no estimate is known for the family {settings.family!r}")


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


def interval_events(stats: Mapping[str, float]) -> float:
    """What a figure of the curve reads: `held_out_events`, or a part of so many."""
    return min(stats.get("held_out_events", 0.0), MOST_INTERVAL_EVENTS)
