"""In what evaluations that stand side by side were not measured alike, and whether a figure is quite held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from core.models.evaluations import Evaluation
from core.services.lineage import is_same_music, trained_on

Fact = Callable[[Evaluation], Any]

# Seeds and names differ without consequence for the figures; lengths are counted in the takes themselves.
_WITHOUT_CONSEQUENCE = {"seeds", "length", "length_unit", "primer"}


def differences(evaluations: Sequence[Evaluation]) -> list[str]:
    """What is not the same in all of some evaluations, a sentence each, such as "Takes: 64 of Small, 8 of Large."."""
    facts: dict[str, Fact] = {
        "Takes": lambda each: _part(each, "music").get("takes"),
        "Notes of each take": lambda each: _part(each, "music").get("notes"),
        "Definitions of the figures, version": lambda each: each.version,
        "A note hangs from (s)": lambda each: _part(each, "music").get("hanging_seconds"),
        "Copies are looked for in": _searched,
    }
    asked = {name for each in evaluations for name in _sampling(each)} - _WITHOUT_CONSEQUENCE
    facts.update({_title(name): _sampling_fact(name) for name in sorted(asked)})
    return [sentence for title, fact in facts.items() if (sentence := _difference(title, fact, evaluations))]


def chose_checkpoint(session: Session, evaluation: Evaluation) -> bool:
    """Whether the pieces that were measured also chose the model's checkpoint among those of its training.

    So it is with the validation pieces of the dataset that it was trained on, or of another import of the same music:
    the figure is then a little lower than on pieces that decided nothing, such as the test pieces.
    """
    if evaluation.split != "validation" or evaluation.dataset is None:
        return False
    return is_same_music(trained_on(session, evaluation.model_id), evaluation.dataset)


def _difference(title: str, fact: Fact, evaluations: Sequence[Evaluation]) -> str:
    known = [(fact(each), each.model.name) for each in evaluations]
    known = [(value, name) for value, name in known if value is not None]
    if len({str(value) for value, _ in known}) < 2:
        return ""
    return f"{title}: {', '.join(f'{_text(value)} of {name}' for value, name in known)}."


def _searched(evaluation: Evaluation) -> str | None:
    found = _part(evaluation, "originality")
    name, pieces = found.get("dataset_name"), found.get("pieces_used")
    return f"{name} (its first {pieces:,})" if name and pieces else name


def _part(evaluation: Evaluation, name: str) -> dict[str, Any]:
    part: dict[str, Any] = evaluation.results.get(name, {})
    return part


def _sampling(evaluation: Evaluation) -> dict[str, Any]:
    return dict(evaluation.generation.settings) if evaluation.generation is not None else {}


def _sampling_fact(name: str) -> Fact:
    return lambda each: _sampling(each).get(name)


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " and ".join(_text(each) for each in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
