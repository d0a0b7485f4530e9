"""What is known of takes, when two evaluations find it out at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from core.evaluation.originality import VERSION
from core.models.evaluations import SharedPassage
from core.models.generations import Take
from core.records.database import Database
from core.services.originality import store_passages
from tests.tools.web_content import WebContent


def found(takes: list[int], dataset: int, notes: int) -> list[SharedPassage]:
    return [
        SharedPassage(take_id=take, dataset_id=dataset, notes=notes, threshold=25, flagged=False, version=VERSION)
        for take in takes
    ]


def test_two_evaluations_that_search_the_same_takes_at_once_both_end(
    database: Database, content: WebContent, at_once: Callable[..., list[Any]]
) -> None:
    dataset, model = content.dataset(), content.model()
    takes = content.take_ids(content.generation(model))

    def store(order: list[int], notes: int) -> None:
        for _ in range(15):
            with database.transaction() as session:
                store_passages(session, found(order, dataset, notes))

    ends = at_once(lambda: store(takes, 10), lambda: store(takes[::-1], 20), lambda: store(takes[2:], 30))
    assert ends == [None, None, None]
    with database.reading() as session:
        rows = session.execute(select(SharedPassage.take_id, SharedPassage.notes).order_by(SharedPassage.take_id)).all()
    assert [row.take_id for row in rows] == takes
    # What one evaluation stored in one transaction stays together.
    assert len({row.notes for row in rows[2:]}) == 1


def test_what_is_known_is_replaced_and_a_take_that_was_deleted_meanwhile_is_left_out(
    database: Database, content: WebContent
) -> None:
    dataset, other, model = content.dataset(), content.dataset("Other"), content.model()
    takes = content.take_ids(content.generation(model))
    with database.transaction() as session:
        store_passages(session, found(takes, dataset, 10))
        store_passages(session, found(takes[:1], other, 11))
    with database.transaction() as session:
        session.delete(session.get_one(Take, takes[1]))
    with database.transaction() as session:
        store_passages(session, found(takes[:2], dataset, 40))
    with database.reading() as session:
        known = session.scalars(select(SharedPassage).order_by(SharedPassage.take_id, SharedPassage.dataset_id))
        assert [(row.take_id, row.dataset_id, row.notes) for row in known][:3] == [
            (takes[0], dataset, 40),
            (takes[0], other, 11),
            (takes[2], dataset, 10),
        ]
