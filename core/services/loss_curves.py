"""The held-out curves of the trainings behind compared models, and whether they are of the same music."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.datasets import Dataset
from core.models.trainings import TrainingPoint
from core.services.comparing import Compared

# Beyond this, a curve's points lie closer than the screen's.
_MOST_POINTS = 2_000


@dataclass(frozen=True, slots=True)
class LossCurve:
    """How a training's held-out figure went.

    Attributes:
        points: those that have a figure per event, by step, at most some 2,000.
        dataset_name: of the dataset whose held-out pieces were measured.
        music: what two curves have in common when their heights compare: the content hash of the dataset.
    """

    points: list[TrainingPoint]
    dataset_name: str
    music: str


def loss_curves(session: Session, rows: Sequence[Compared]) -> dict[int, LossCurve]:
    """The curve of the training behind each compared model, by the model; without those that have none.

    Of very many points every so manyth and the last.
    """
    curves = {}
    for row in rows:
        if row.training is None:
            continue
        statement = select(TrainingPoint).where(TrainingPoint.training_id == row.training.id)
        points = session.scalars(statement.order_by(TrainingPoint.step))
        held_out = [point for point in points if "held_out_nats_per_event" in point.values]
        if held_out:
            number = row.training.dataset_id
            dataset = session.get(Dataset, number) if number is not None else None
            name = dataset.name if dataset is not None else row.model.dataset_name
            music = dataset.content_hash if dataset is not None else ""
            curves[row.model.id] = LossCurve(_thinned(held_out), name, music or f"{number} {name}")
    return curves


def curve_difference(curves: Mapping[int, LossCurve]) -> str:
    """A sentence where curves are of different music, so that their heights do not compare; else nothing."""
    if len({curve.music for curve in curves.values()}) < 2:
        return ""
    names = list(dict.fromkeys(f"“{curve.dataset_name}”" for curve in curves.values()))
    of = f"of {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"of several datasets called {names[0]}"
    return (
        f"These curves are {of}: each is of the pieces that its own training held out, so their heights do not compare."
    )


def _thinned(points: list[TrainingPoint]) -> list[TrainingPoint]:
    return sorted({*points[:: max(1, -(-len(points) // _MOST_POINTS))], *points[-1:]}, key=lambda point: point.step)
