"""Models side by side, each by its newest evaluation on one dataset, so that their figures can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from core.errors import InputError
from core.models.datasets import Dataset
from core.models.evaluations import Evaluation
from core.models.trainings import Model, Training
from core.services.comparability import chose_checkpoint, differences
from core.services.lineage import trainings_behind

MOST_COMPARED = 8
_LARGEST_NUMBER = 2**31 - 1
SPLITS = ("validation", "test")


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
        datasets: all such that one of them was evaluated on, those with most of the models first; and `dataset`.
        differences: in what the evaluations were not measured alike, a sentence each.
        chosen_by: names of the models whose checkpoints were chosen by the very pieces that they are measured on.
    """

    rows: list[Compared]
    dataset: tuple[int, str, str] | None
    datasets: list[tuple[int, str, str]]
    differences: list[str]
    chosen_by: list[str]


def compare_models(
    session: Session, model_ids: Sequence[int], dataset_id: int | None = None, split: str = ""
) -> Comparison:
    """Put models side by side, by default on the dataset on which most of them were evaluated.

    Args:
        session: to read from.
        model_ids: 1 to 8 models.
        dataset_id: compare on this one, whether or not any of them was evaluated on it.
        split: "validation" or "test"; empty for whichever most of them were evaluated on.

    Raises:
        InputError: no model, too many, or one that does not exist; no such dataset; another split.
    """
    if split not in {"", *SPLITS}:
        raise InputError.of("split", f"split: {split[:40]!r} is refused; allowed are {' and '.join(SPLITS)}.")
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
    whole = joinedload(Evaluation.model), joinedload(Evaluation.generation), joinedload(Evaluation.dataset)
    statement = select(Evaluation).where(Evaluation.id.in_(newest)).options(*whole).order_by(Evaluation.id.desc())
    evaluations = session.scalars(statement)
    by_place: dict[tuple[int, int, str], Evaluation] = {}
    names: dict[tuple[int, str], str] = {}
    for evaluation in evaluations:
        place = (evaluation.dataset_id or 0, evaluation.split)
        by_place[evaluation.model_id, *place] = evaluation
        names.setdefault(place, evaluation.dataset_name)
    counts = Counter((dataset, part) for _, dataset, part in by_place)
    datasets = [(number, names[number, part], part) for (number, part), _ in counts.most_common()]
    chosen = _choose(session, datasets, dataset_id, split)
    if chosen is not None and chosen not in datasets:
        datasets.append(chosen)
    trainings = trainings_behind(session, ids)
    rows = [
        Compared(
            models[number],
            by_place.get((number, chosen[0], chosen[2])) if chosen is not None else None,
            trainings.get(number),
        )
        for number in ids
    ]
    measured = [row.evaluation for row in rows if row.evaluation is not None]
    chosen_by = [each.model.name for each in measured if chose_checkpoint(session, each)]
    return Comparison(rows, chosen, datasets, differences(measured), chosen_by)


def _choose(
    session: Session, datasets: Sequence[tuple[int, str, str]], dataset_id: int | None, split: str
) -> tuple[int, str, str] | None:
    """Never another dataset or split than what was asked for."""
    fitting = [each for each in datasets if dataset_id in {None, each[0]} and split in {"", each[2]}]
    if fitting or dataset_id is None:
        return next(iter(fitting), None)
    dataset = session.get(Dataset, dataset_id) if dataset_id <= _LARGEST_NUMBER else None
    if dataset is None:
        raise InputError.of("dataset_id", f"dataset_id: there is no dataset {dataset_id}; the list shows the numbers.")
    return dataset.id, dataset.name, split or SPLITS[0]
