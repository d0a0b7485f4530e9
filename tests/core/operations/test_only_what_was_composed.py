"""Revision 0010: of an older database only figures and passages stand that would be found again today."""

from __future__ import annotations

import pytest

from core.records import schema
from core.records.database import Database
from tests.core.operations.test_models_origins import add
from tests.core.operations.test_upgrading import content

_PRIMED = {"join_primer": True, "primer": {"sha256": "a" * 64, "notes": 9}}
_ALL, _LIMITED, _ELSEWHERE = 1, 2, 3
# The generations and takes of each number.
_PLAIN, _WITH_PRIMER, _OF_LIMITED, _OF_ELSEWHERE, _OF_DELETED = 1, 2, 3, 4, 5


@pytest.fixture
def before(bare_database: Database) -> Database:
    """Revision 0009: models of all pieces, of some, and of some of a dataset that nobody knows; a take of each."""
    schema.upgrade(bare_database, "0009")
    add(bare_database, "job", 1)
    for number in (1, 2):
        add(bare_database, "dataset", number, job_id=1)
    none = {"training_id": None}
    add(bare_database, "model", _ALL, dataset_id=1, settings={"files": 0}, **none)
    add(bare_database, "model", _LIMITED, dataset_id=1, settings={"files": 5}, **none)
    add(bare_database, "model", _ELSEWHERE, dataset_id=None, settings={"files": 5}, **none)
    models = {
        _PLAIN: _ALL,
        _WITH_PRIMER: _ALL,
        _OF_LIMITED: _LIMITED,
        _OF_ELSEWHERE: _ELSEWHERE,
        _OF_DELETED: None,
    }
    for number, model in models.items():
        settings = _PRIMED if number == _WITH_PRIMER else {"join_primer": number == _PLAIN, "primer": None}
        add(bare_database, "generation", number, job_id=1, model_id=model, settings=settings)
        add(bare_database, "take", number, generation_id=number)
        for dataset in (1, 2):
            add(bare_database, "shared_passage", number, dataset_id=dataset, piece_id=None, version=2)
    add(bare_database, "take", 9, generation_id=_WITH_PRIMER)
    add(bare_database, "shared_passage", 9, dataset_id=1, piece_id=None, version=1)
    return bare_database


def test_passages_of_other_notes_or_pieces_are_forgotten(before: Database) -> None:
    old = content(before)
    assert schema.upgrade(before, "0010") == "0010"
    stand = {(each["take_id"], each["dataset_id"]): each["version"] for each in content(before)["shared_passage"]}
    assert stand == {
        (_PLAIN, 1): 3,
        (_PLAIN, 2): 3,
        (_OF_LIMITED, 2): 3,
        (_OF_ELSEWHERE, 1): 3,
        (_OF_ELSEWHERE, 2): 3,
        (_OF_DELETED, 1): 3,
        (_OF_DELETED, 2): 3,
    }
    for name in old.keys() - {"shared_passage"}:
        assert content(before)[name] == old[name], name
    assert schema.downgrade(before, "0009") == "0009"
    assert {each["version"] for each in content(before)["shared_passage"]} == {2}


def test_evaluations_whose_figures_would_be_the_same_are_of_today(before: Database) -> None:
    music, originality = {"music": {"takes": 4}}, {"originality": {"flagged": 0}}
    both = {**music, **originality}
    cases = {
        1: ({"model_id": _ALL, "generation_id": _PLAIN, "results": both}, 4),
        2: ({"model_id": _ALL, "generation_id": _WITH_PRIMER, "results": both}, 3),
        3: ({"model_id": _LIMITED, "generation_id": _OF_LIMITED, "results": both}, 3),
        4: ({"model_id": _LIMITED, "generation_id": _OF_LIMITED, "results": music}, 4),
        # Of takes that were deleted since nobody knows with what they began.
        5: ({"model_id": _ALL, "generation_id": None, "results": music}, 3),
        6: ({"model_id": _ALL, "generation_id": None, "results": {"likelihood": {}}}, 4),
        # One that waits: today's worker measures it.
        7: ({"model_id": _ALL, "generation_id": _WITH_PRIMER, "results": {}}, 4),
    }
    for number, (values, _) in cases.items():
        add(before, "evaluation", number, job_id=1, dataset_id=1, version=3, **values)
    add(before, "evaluation", 8, job_id=1, dataset_id=1, version=2, model_id=_ALL, generation_id=_PLAIN, results=both)
    schema.upgrade(before, "0010")
    found = {each["id"]: each["version"] for each in content(before)["evaluation"]}
    assert found == {**{number: version for number, (_, version) in cases.items()}, 8: 2}
