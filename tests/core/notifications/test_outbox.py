"""The outbox is written with the end that it tells of, for those who want to know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from core.errors import ConflictError, NotFoundError
from core.models.base import utc_now
from core.models.jobs import JobKind, Queue
from core.models.notifications import Delivery, DeliveryState, Way
from core.notifications import outbox
from core.queue.claim import claim
from core.queue.control import cancel
from core.queue.enqueue import enqueue
from core.queue.lifecycle import finish
from core.records.database import Database

Read = Callable[[], Sequence[Delivery]]


def test_an_end_is_told_by_each_way_that_was_chosen(
    end_job: Callable[..., int], choose: Callable[..., Any], deliveries: Read
) -> None:
    choose(browser=True, email=True, webhook=True)
    done, broken = end_job(title="Chorales"), end_job(error="The loss became NaN.")
    found = deliveries()
    assert [(each.way, each.event, each.content["id"]) for each in found] == [
        (way, name, number)
        for number, name in ((done, "job.finished"), (broken, "job.failed"))
        for way in (Way.BROWSER, Way.EMAIL, Way.WEBHOOK)
    ]
    assert {each.state for each in found if each.way is not Way.BROWSER} == {DeliveryState.WAITING}
    assert {each.state for each in found if each.way is Way.BROWSER} == {DeliveryState.SENT}
    assert len({each.message_id for each in found}) == len(found)
    assert found[0].content["title"] == "Chorales"
    assert found[3].content["error"] == "The loss became NaN."
    assert {each.owner for each in found} == {"ann"}


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"finished": False}, ["job.failed"]),
        ({"failed": False}, ["job.finished"]),
        ({"min_minutes": 6.0}, ["job.failed"]),
        ({"min_minutes": 4.0}, ["job.finished", "job.failed"]),
        ({"webhook": False}, []),
        ({"owner": "ben"}, []),
    ],
)
def test_only_what_was_chosen_is_told(
    end_job: Callable[..., int], choose: Callable[..., Any], deliveries: Read, chosen: dict[str, Any], told: list[str]
) -> None:
    choose(**{"webhook": True, **chosen})
    end_job(minutes=5)
    end_job(error="no", minutes=0)
    assert [each.event for each in deliveries()] == told


def test_a_cancelled_job_is_not_told(database: Database, choose: Callable[..., Any], deliveries: Read) -> None:
    choose(webhook=True)
    with database.transaction() as session:
        order: Any = {"kind": JobKind.IMPORT, "queue": Queue.LIGHT, "title": "x", "owner": "ann", "request": {}}
        job = enqueue(session, **order, payloads=[{}])
        session.flush()
        cancel(session, job.id)
    assert deliveries() == []


def test_an_end_that_is_rolled_back_tells_nothing(
    database: Database, end_job: Callable[..., int], choose: Callable[..., Any], deliveries: Read
) -> None:
    choose(webhook=True)
    with database.transaction() as session:
        order: Any = {"kind": JobKind.IMPORT, "queue": Queue.LIGHT, "title": "x", "owner": "ann", "request": {}}
        enqueue(session, **order, payloads=[{}])
    with database.exclusive() as session:
        claimed = claim(session, Queue.LIGHT, "worker")
    assert claimed is not None

    def finish_and_die() -> None:
        with database.transaction() as session:
            finish(session, claimed.unit_id, claimed.attempt)
            raise RuntimeError("the worker dies here")

    with pytest.raises(RuntimeError):
        finish_and_die()
    assert deliveries() == []
    with database.transaction() as session:
        finish(session, claimed.unit_id, claimed.attempt)
    assert len(deliveries()) == 1


def test_those_who_chose_nothing_cost_one_statement(database: Database, end_job: Callable[..., int]) -> None:
    """One look at the choice; a job's end is on the way of every unit."""
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    end_job()
    assert sum("notification_choice" in statement for statement in asked) == 1
    assert not any("delivery" in statement for statement in asked)


def test_open_pages_get_what_is_new_and_recent(
    database: Database, end_job: Callable[..., int], choose: Callable[..., Any]
) -> None:
    choose(browser=True)
    choose(owner="ben", browser=True)
    end_job()
    with database.transaction() as session:
        before = outbox.last_notice_id(session, "ann")
        session.execute(update(Delivery).values(created_at=utc_now() - timedelta(hours=1)))
    late = end_job()
    end_job(owner="ben")
    with database.reading() as session:
        assert [each.content["id"] for each in outbox.notices_after(session, "ann", before)] == [late]
        assert [each.content["id"] for each in outbox.notices_after(session, "ann", 0)] == [late]


def test_only_failed_deliveries_of_ones_own_are_sent_again(database: Database, deliveries: Read) -> None:
    with database.transaction() as session:
        number = outbox.note_test(session, "ann", Way.WEBHOOK).id
    with database.transaction() as session, pytest.raises(ConflictError, match="is waiting"):
        outbox.send_again(session, "ann", number)
    with database.transaction() as session:
        session.execute(update(Delivery).values(state=DeliveryState.FAILED, attempts=8, ended_at=utc_now()))
    with database.transaction() as session, pytest.raises(NotFoundError):
        outbox.send_again(session, "ben", number)
    with database.transaction() as session:
        outbox.send_again(session, "ann", number)
    (row,) = deliveries()
    assert (row.state, row.attempts, row.due_at) == (DeliveryState.WAITING, 0, None)


def test_tests_are_not_sent_faster_than_people_read(database: Database) -> None:
    with database.transaction() as session:
        outbox.note_test(session, "ann", Way.EMAIL)
        outbox.note_test(session, "ann", Way.WEBHOOK)
        with pytest.raises(ConflictError, match="a moment ago"):
            outbox.note_test(session, "ann", Way.EMAIL)


def test_what_is_old_is_forgotten(database: Database, deliveries: Read) -> None:
    with database.transaction() as session:
        outbox.note_test(session, "ann", Way.WEBHOOK)
        session.execute(update(Delivery).values(created_at=utc_now() - timedelta(days=31)))
        outbox.note_test(session, "ann", Way.EMAIL)
    assert outbox.delete_old(database) == 1
    assert [each.way for each in deliveries()] == [Way.EMAIL]
