"""What the curves of trainings are drawn over: steps, or minutes of training."""

from __future__ import annotations

from collections.abc import Sequence

from flask import request

from core.models.trainings import TrainingPoint


def chosen_axis() -> str:
    """What the address asks for: "time" or "step"."""
    return "time" if request.args.get("by") == "time" else "step"


def places(points: Sequence[TrainingPoint], by: str) -> list[float]:
    """Where a training's points lie: at their steps, or at the minutes that it had run.

    Trainings of earlier versions stored no such time; theirs are the minutes since their first point, pauses included.

    Args:
        points: all of one training, by step.
        by: "step" or "time".
    """
    if by != "time":
        return [point.step for point in points]
    if is_timed(points):
        return [(point.seconds or 0.0) / 60 for point in points]
    return [(point.at - points[0].at).total_seconds() / 60 for point in points]


def is_timed(points: Sequence[TrainingPoint]) -> bool:
    """Whether each point knows how long the training had run."""
    return all(point.seconds is not None for point in points)
