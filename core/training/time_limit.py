"""A training that fits a time: steps planned when it has shown how fast it is, and an end that holds. No Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.training.event_settings import EventSettings

# A step's speed is known after so many. The end of the warm-up is the best moment to plan: until then the number of
# steps does not matter to the rate.
_LEAST_MEASURED_STEPS = 5
# Neither is waited for longer than such a share of the limit.
_LONGEST_WARMUP, _LONGEST_WAIT = 0.1, 0.25
# A held-out event has no gradients: a third of the operations, in long rows instead of wide batches (0.36 with the
# recurrent Standard preset on 2 cores).
_EVALUATION_SHARE = 0.4
# What a held-out figure takes to compile, of what the first step took.
_COMPILING_SHARE = 0.5
# What the figures of the curve may have of the time, and all figures together.
_CURVE_SHARE, _FIGURES_SHARE = 0.15, 0.5
# Resume points, and machines that are not always equally fast.
_SPARE_SHARE = 0.1
# Where that did not suffice, the training ends by so much of its limit: what lies before its first second (starting,
# reading the notes) and behind its last figure is within the limit too.
_LATEST_SHARE, _OUTSIDE_SECONDS = 0.98, 8.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a training is.

    Attributes:
        steps: in all.
        evaluate_every: steps between two held-out figures.
    """

    steps: int
    evaluate_every: int


@dataclass(frozen=True, slots=True)
class Pace:
    """What a training has shown when its steps are planned.

    Attributes:
        steps: done.
        spent_seconds: since it began, in all its processes, pauses left out.
        step_seconds: of one step, compiling left out; 0 while none was measured.
        measured_steps: whose mean that is.
        compile_seconds: until the first step was done.
    """

    steps: int
    spent_seconds: float
    step_seconds: float
    measured_steps: int
    compile_seconds: float


class TimeLimit:
    """The limit of one training, and what its held-out figures read."""

    def __init__(self, settings: EventSettings, interval_events: int, last_events: int) -> None:
        """Of a training's settings.

        Args:
            settings: with a limit or without.
            interval_events: that each figure of the curve reads, padding included.
            last_events: that the figure at the end reads beside them.
        """
        self._settings = settings
        self._interval_events = interval_events
        self._last_events = last_events

    def may_plan(self, pace: Pace) -> bool:
        """Whether the speed is known, and the warm-up over if it does not take long."""
        settings = self._settings
        spent_share = pace.spent_seconds / settings.limit_seconds
        warm_steps = min(settings.warmup_steps, settings.evaluate_every)
        warm = pace.steps >= warm_steps or spent_share >= _LONGEST_WARMUP
        known = pace.measured_steps >= _LEAST_MEASURED_STEPS or spent_share >= _LONGEST_WAIT
        return warm and known and pace.step_seconds > 0

    def plan(self, pace: Pace) -> Plan:
        """The steps that fit, all of them where they do; and as many figures as were set, unless they take too long.

        The steps have at least half of the time: where a figure over all held-out pieces takes more than the rest,
        the training takes longer than its limit.

        Args:
            pace: one with which it may be planned.
        """
        settings = self._settings
        figures = math.ceil(settings.steps / settings.evaluate_every)
        figure_seconds = figure_steps(settings, self._interval_events) * pace.step_seconds
        left = (1 - _SPARE_SHARE) * settings.limit_seconds - pace.spent_seconds
        left = max(0.0, left - _COMPILING_SHARE * pace.compile_seconds)
        if figures * figure_seconds > _CURVE_SHARE * left:
            figures = max(1, int(_CURVE_SHARE * left / figure_seconds))
        read_seconds = figures * figure_seconds + figure_steps(settings, self._last_events) * pace.step_seconds
        seconds = max(left - read_seconds, (1 - _FIGURES_SHARE) * left)
        fitting = pace.steps + int(seconds / pace.step_seconds)
        if fitting >= settings.steps:
            return Plan(settings.steps, max(settings.evaluate_every, math.ceil(settings.steps / figures)))
        return Plan(fitting, math.ceil(fitting / figures))

    def is_over(self, spent_seconds: float, figure_seconds: float) -> bool:
        """Whether no more fits than the figures that end the training, whatever was planned.

        Args:
            spent_seconds: as of `Pace`.
            figure_seconds: that a figure of the curve takes.
        """
        limit = self._settings.limit_seconds
        latest = _LATEST_SHARE * limit - min(_OUTSIDE_SECONDS, _SPARE_SHARE / 2 * limit)
        ending_seconds = figure_seconds * (1 + self._last_events / max(1, self._interval_events))
        return spent_seconds + ending_seconds >= latest

    def figure_seconds(self, step_seconds: float) -> float:
        """That a figure of the curve is likely to take, before there was one."""
        return figure_steps(self._settings, self._interval_events) * step_seconds

    def told(self, pace: Pace, plan: Plan) -> str:
        """What the log says of a plan other than the settings'."""
        settings = self._settings
        text = (
            f"At {pace.step_seconds:.2g} s a step, {plan.steps:,} of {settings.steps:,} steps fit into the time limit "
            f"of {settings.minutes:g} minutes, with a held-out figure every {plan.evaluate_every:,} steps."
        )
        if plan.steps < 2 * settings.warmup_steps:
            text += (
                f" The warm-up alone has {settings.warmup_steps:,}: a smaller preset, a smaller batch or a longer "
                "limit would learn more."
            )
        # The step after the warm-up has the highest rate, whatever comes later.
        if pace.steps <= settings.warmup_steps + 1:
            text += (
                f" With steps={plan.steps}, evaluate_every={plan.evaluate_every} and no time limit, a training on this "
                "machine gives the same weights."
            )
        return text


def told_end(settings: EventSettings, step: int, steps: int, rate: float) -> str:
    """What the log says of a training whose limit ended it at a step before the planned ones, with such a rate."""
    return (
        f"Step {step:,} of the {steps:,} planned ones is the last that fits into the time limit of "
        f"{settings.minutes:g} minutes: the machine has become slower since they were planned. The learning rate "
        f"has come down to {100 * rate / settings.learning_rate:.0f} % of its highest; the plan's end would be 10 %."
    )


def figure_steps(settings: EventSettings, events: float) -> float:
    """As many steps take as long as a held-out figure over so many events."""
    return _EVALUATION_SHARE * events / (settings.batch_size * settings.window)
