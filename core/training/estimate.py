"""How long a training will take, before it is submitted. Light: plain arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from core.training.time_limit import Pace, TimeLimit

# One pass forward and two for the gradients, two operations for each weight and event.
_OPERATIONS = 6.0
# What everything beside the products leaves of their speed.
_RECURRENT_SHARE = 0.7
_TUTORIAL_SHARE = 0.18
_WHOLE_WINDOWS_SHARE = 0.5
# Of Muon's products, which are large and stand side by side.
_MUON_SHARE = 0.8
# Loading, encoding and compiling.
_START_SECONDS = 6.0
# A held-out pass has no gradients: a third of the work for each event.
_FORWARD_SHARE = 1 / 3
_MOST_INTERVAL_EVENTS = 200_000


@dataclass(frozen=True, slots=True)
class ProductSpeed:
    """How fast a device multiplies float32 matrices, in 10^9 operations per second.

    Attributes:
        large: large ones (2 cores: 100 to 200).
        recurrent: what `recurrent_product` tells of a training. It is narrow, so that its weights are read from memory
            for few rows: 2 cores of one machine did it as fast as large ones, of another half as fast.
    """

    large: float
    recurrent: float


def recurrent_product(settings: FamilySettings) -> tuple[int, int, int] | None:
    """Rows, inner width and columns of the product that a recurrence repeats at each event; None without one."""
    if not isinstance(settings, RecurrentSettings):
        return None
    units, columns = weight_shapes(settings)[f"{settings.family}_0.recurrent"]
    return settings.batch_size, units, columns


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
        held_out = min(stats.get("held_out_events", 0.0), _MOST_INTERVAL_EVENTS) * evaluations
        return _OPERATIONS * per_event * (events + _FORWARD_SHARE * held_out) + _muon_flops(settings)
    if isinstance(settings, TutorialSettings):
        windows = stats.get("windows", stats.get("notes", 0.0)) * settings.epochs
        return _OPERATIONS * products * settings.window * windows
    raise TypeError(f"no estimate is known for the family {settings.family!r}")


def estimate_seconds(
    settings: FamilySettings, stats: Mapping[str, float], speed: ProductSpeed, step_seconds: float = 0.0
) -> float:
    """Likely seconds of a training within its time limit, early stopping left out.

    Args:
        settings: of any family.
        stats: as `training_flops` reads them.
        speed: of the device.
        step_seconds: of a step and its share of the held-out figures, where one like it has been seen; 0 where not.
    """
    if step_seconds and isinstance(settings, EventSettings):
        return min(_START_SECONDS + settings.steps * step_seconds, settings.limit_seconds)
    return min(_unlimited_seconds(settings, stats, speed), _limit_seconds(settings))


def fitting_steps(
    settings: EventSettings, stats: Mapping[str, float], speed: ProductSpeed, step_seconds: float = 0.0
) -> int:
    """How many steps a training will likely plan within its time limit: all of them where there is none.

    Arguments as those of `estimate_seconds`.
    """
    if not settings.minutes:
        return settings.steps
    held_out = int(stats.get("held_out_events", 0.0))
    interval = min(held_out, _MOST_INTERVAL_EVENTS)
    last = held_out if held_out > interval else 0
    if step_seconds:
        interval = 0  # What was seen has the figures of the curve in it.
    else:
        steps_alone = {name: value for name, value in stats.items() if name != "held_out_events"}
        step_seconds = (_unlimited_seconds(settings, steps_alone, speed) - _START_SECONDS) / settings.steps
    limit = TimeLimit(settings, interval, last)
    return max(1, limit.plan(Pace(0, _START_SECONDS, step_seconds, 1, 0.0)).steps)


def _limit_seconds(settings: FamilySettings) -> float:
    return settings.limit_seconds if isinstance(settings, EventSettings) else float("inf")


def _unlimited_seconds(settings: FamilySettings, stats: Mapping[str, float], speed: ProductSpeed) -> float:
    muon, gflops = 0.0, _TUTORIAL_SHARE * speed.large
    if isinstance(settings, RecurrentSettings):
        gflops = _RECURRENT_SHARE * speed.recurrent
    elif isinstance(settings, EventSettings):
        gflops = _WHOLE_WINDOWS_SHARE * speed.large
    if isinstance(settings, EventSettings):
        muon = _muon_flops(settings)
    products = training_flops(settings, stats) - muon
    return _START_SECONDS + (products / gflops + muon / (_MUON_SHARE * speed.large)) / 1e9


def _muon_flops(settings: EventSettings) -> float:
    """Of all orthogonal updates, which do not depend on the batch."""
    if settings.optimizer != "muon":
        return 0.0
    shapes, operations = weight_shapes(settings), 0.0
    for name, count in hidden_matrices(settings).items():
        *rows, columns = shapes[name]
        short, long = sorted((prod(rows), columns // count))
        operations += count * MUON_ITERATIONS * 2 * (2 * short**2 * long + short**3)
    return operations * settings.steps
