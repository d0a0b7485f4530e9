"""Models side by side, each by its newest evaluation on one dataset, so that their figures can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from core.errors import InputError
from core.models.evaluations import Evaluation
from core.models.trainings import Model, Training, TrainingPoint

MOST_COMPARED = 8
_LARGEST_NUMBER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Compared:
    """One model of a comparison, with its evaluation on the comparison's dataset and the training behind it."""

    model: Model
    evaluation: Evaluation | None
    training: Training | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several models side by side.

    Attributes:
        rows: in the order in which they were asked for.
        dataset: (number, name, split) that they are compared on; None when none was evaluated.
        datasets: all such that one of them was evaluated on, those with most of the models first.
    """

    rows: list[Compared]
    dataset: tuple[int, str, str] | None
    datasets: list[tuple[int, str, str]]


def compare_models(
    session: Session, model_ids: Sequence[int], dataset_id: int | None = None, split: str = ""
) -> Comparison:
    """Put models side by side, by default on the dataset on which most of them were evaluated.

    Raises:
        InputError: no model, too many, or one that does not exist.
    """
    ids = list(dict.fromkeys(model_ids))
    if not 1 <= len(ids) <= MOST_COMPARED:
        raise InputError.of("ids", f"ids: {len(ids)} models are refused; name 1 to {MOST_COMPARED}.")
    if strange := [number for number in ids if not 1 <= number <= _LARGEST_NUMBER]:
        raise InputError.of("ids", f"ids: there is no model {strange[0]}; the list of models shows the numbers.")
    models = {model.id: model for model in session.scalars(select(Model).where(Model.id.in_(ids)))}
    if missing := [number for number in ids if number not in models]:
        raise InputError.of("ids", f"ids: there is no model {missing[0]} (any more); the list shows the numbers.")
    newest = (
        select(func.max(Evaluation.id))
        .where(Evaluation.model_id.in_(ids), Evaluation.finished_at.is_not(None), Evaluation.dataset_id.is_not(None))
        .group_by(Evaluation.model_id, Evaluation.dataset_id, Evaluation.split)
    )
    evaluations = session.scalars(select(Evaluation).where(Evaluation.id.in_(newest)).order_by(Evaluation.id.desc()))
    by_place: dict[tuple[int, int, str], Evaluation] = {}
    names: dict[tuple[int, str], str] = {}
    for evaluation in evaluations:
        place = (evaluation.dataset_id or 0, evaluation.split)
        by_place[evaluation.model_id, *place] = evaluation
        names.setdefault(place, evaluation.dataset_name)
    counts = Counter((dataset, part) for _, dataset, part in by_place)
    datasets = [(number, names[number, part], part) for (number, part), _ in counts.most_common()]
    wanted = [each for each in datasets if each[0] == dataset_id and split in {"", each[2]}]
    chosen = next(iter(wanted or datasets), None)
    trainings = _trainings(session, ids)
    rows = [
        Compared(
            models[number],
            by_place.get((number, chosen[0], chosen[2])) if chosen is not None else None,
            trainings.get(number),
        )
        for number in ids
    ]
    return Comparison(rows, chosen, datasets)


def loss_curves(session: Session, rows: Sequence[Compared]) -> dict[int, list[TrainingPoint]]:
    """The points of the trainings behind compared models that have a held-out figure per event, by the model."""
    curves = {}
    for row in rows:
        if row.training is not None:
            points = session.scalars(
                select(TrainingPoint).where(TrainingPoint.training_id == row.training.id).order_by(TrainingPoint.step)
            )
            curves[row.model.id] = [point for point in points if "held_out_nats_per_event" in point.values]
    return {number: points for number, points in curves.items() if points}


def _trainings(session: Session, model_ids: Sequence[int]) -> dict[int, Training]:
    newest = select(func.max(Training.id)).where(Training.model_id.in_(model_ids)).group_by(Training.model_id)
    found = session.scalars(select(Training).where(Training.id.in_(newest)).options(joinedload(Training.job)))
    return {training.model_id: training for training in found if training.model_id is not None}
