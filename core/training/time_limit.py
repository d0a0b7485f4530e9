"""A training that may take so long only: how many steps fit, decided once, when it has shown how fast it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.training.event_settings import EventSettings

# A step's speed is known after so long; while the rate still rises, the number of steps does not matter to it.
_LEAST_MEASURED_SECONDS = 1.0
# Neither is waited for longer than such a share of the limit: the end of the warm-up, and a speed to rely on.
_LONGEST_WARMUP, _LONGEST_WAIT = 0.1, 0.25
# What a held-out figure takes to compile, of what the first step took: it has no gradients.
_COMPILING_SHARE = 0.5
# A held-out event has no gradients, a third of the operations, but stands in long rows instead of wide batches.
_EVALUATION_SHARE = 0.5
# Resume points, and machines that are not always equally fast.
_SPARE_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a training is. `steps`: in all; `evaluate_every`: steps between two held-out figures."""

    steps: int
    evaluate_every: int


@dataclass(frozen=True, slots=True)
class Pace:
    """What a training has shown when its steps are planned.

    Attributes:
        steps: done.
        spent_seconds: since it began, in all its processes, pauses left out.
        measured_seconds: in which `step_seconds` was measured.
        step_seconds: of one step, compiling left out.
        compile_seconds: until the first step was done.
        interval_events: that each figure of the curve reads.
        last_events: that the figure at the end reads beside them.
    """

    steps: int
    spent_seconds: float
    measured_seconds: float
    step_seconds: float
    compile_seconds: float
    interval_events: int
    last_events: int


def may_plan(settings: EventSettings, pace: Pace) -> bool:
    """Whether the speed is known, and the warm-up over if it does not take long."""
    spent_share = pace.spent_seconds / settings.limit_seconds
    warm = pace.steps >= settings.warmup_steps or spent_share >= _LONGEST_WARMUP
    known = pace.measured_seconds >= _LEAST_MEASURED_SECONDS or spent_share >= _LONGEST_WAIT
    return warm and known and pace.step_seconds > 0


def plan_within(settings: EventSettings, pace: Pace) -> Plan:
    """The steps that fit into the time limit, all of them where they do; as many held-out figures either way."""
    figures = math.ceil(settings.steps / settings.evaluate_every)
    event_seconds = pace.step_seconds / (settings.batch_size * settings.window)
    read = figures * pace.interval_events + pace.last_events
    figures_seconds = _EVALUATION_SHARE * read * event_seconds + _COMPILING_SHARE * pace.compile_seconds
    left = (1 - _SPARE_SHARE) * settings.limit_seconds - pace.spent_seconds - figures_seconds
    fitting = pace.steps + max(0, int(left / pace.step_seconds))
    if fitting >= settings.steps:
        return Plan(settings.steps, settings.evaluate_every)
    return Plan(fitting, math.ceil(fitting / figures))


def told(settings: EventSettings, pace: Pace, plan: Plan) -> str:
    """What the log says of a plan with fewer steps than were set."""
    text = (
        f"At {pace.step_seconds:.2g} s a step, {plan.steps:,} of {settings.steps:,} steps fit into the time limit of "
        f"{settings.minutes:g} minutes, with a held-out figure every {plan.evaluate_every:,}."
    )
    if plan.steps < 2 * settings.warmup_steps:
        text += (
            f" The warm-up alone has {settings.warmup_steps:,}: a smaller preset, a smaller batch or a longer limit "
            "would learn more."
        )
    if pace.steps <= settings.warmup_steps:
        text += (
            f" With steps={plan.steps}, evaluate_every={plan.evaluate_every} and no time limit, a training on this "
            "machine gives the same weights."
        )
    return text
