"""What goes with an evaluation: the takes that were made for it, and none that somebody else measures or made."""

from __future__ import annotations

from core.models.evaluations import Evaluation
from core.models.generations import Generation
from core.models.jobs import JobState
from core.records.database import Database
from core.services.evaluations import PURPOSE, delete_evaluation
from tests.tools.web_content import WebContent


def test_takes_stay_as_long_as_another_evaluation_measures_them(content: WebContent) -> None:
    model, dataset = content.model(), content.dataset()
    takes = content.generation(model)
    first, second = (content.evaluation(model, dataset, takes, results=made) for made in (True, False))
    _measuring(content.database, takes, "max", {first: "max", second: "max"})
    delete_evaluation(content.database, content.store, first)
    assert _is_there(content.database, takes)
    delete_evaluation(content.database, content.store, second)
    assert not _is_there(content.database, takes)


def test_takes_of_somebody_else_stay(content: WebContent) -> None:
    model, dataset = content.model(), content.dataset()
    takes = content.generation(model)
    mine = content.evaluation(model, dataset, takes)
    _measuring(content.database, takes, "max", {mine: "mia"})
    delete_evaluation(content.database, content.store, mine)
    assert _is_there(content.database, takes)


def _measuring(database: Database, takes: int, owner: str, owners: dict[int, str]) -> None:
    """Make takes some that were made for an evaluation, and each evaluation somebody's that has ended."""
    with database.transaction() as session:
        generation = session.get_one(Generation, takes)
        generation.purpose, generation.owner = PURPOSE, owner
        for number, whose in owners.items():
            evaluation = session.get_one(Evaluation, number)
            evaluation.owner = whose
            if evaluation.job is not None:
                evaluation.job.state = JobState.SUCCEEDED


def _is_there(database: Database, takes: int) -> bool:
    with database.reading() as session:
        return session.get(Generation, takes) is not None
