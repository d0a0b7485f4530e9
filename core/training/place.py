"""Where a training over events is, and what it has settled itself: part of its resume point."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from core.modeling.devices import has_bfloat16
from core.training.settings import EventSettings


@dataclass(slots=True)
class Place:
    """Where a training is.

    Attributes:
        precision: number format of the products, as it began.
        steps, evaluate_every: the training's plan, which a time limit may make shorter than the settings.
        planned: whether that is settled.
        step: steps done.
        loss_sum, loss_steps: of the training loss since the last figure.
        phase: "interval" or "all" while such an evaluation is under way.
        over: whether the time limit ends the training with this figure, before the planned steps are done.
        figure_seconds: that the latest figure of the curve took; 0 before the first.
    """

    precision: str
    steps: int
    evaluate_every: int
    planned: bool
    step: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    phase: Literal["train", "interval", "all"] = "train"
    over: bool = False
    figure_seconds: float = 0.0

    @classmethod
    def before(cls, settings: EventSettings) -> Self:
        """That of a training which has not begun."""
        return cls(_precision(settings), settings.steps, settings.evaluate_every, planned=not settings.minutes)

    def at(self, stored: dict[str, Any]) -> Self:
        """That of a resume point, which holds more, and no plan if an earlier version wrote it."""
        return replace(self, **{part.name: stored[part.name] for part in fields(self) if part.name in stored})

    def decided(self) -> dict[str, Any]:
        """What checkpoints say of what the training settled itself, so that they can be made again without a limit."""
        plan = {"steps": self.steps, "evaluate_every": self.evaluate_every, "minutes": 0.0}
        return {"precision": self.precision, **plan}


def _precision(settings: EventSettings) -> str:
    if settings.precision == "auto":
        return "bfloat16" if has_bfloat16() else "float32"
    return settings.precision
