"""Which deliveries are tried when, by which of several processes; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from sqlalchemy import update

from core.models.base import utc_now
from core.models.notifications import Delivery, Way
from core.notifications.attempts import take_due
from core.notifications.courier import Courier
from core.records.database import Database
from core.settings import Settings
from tests.tools.receivers import Hooks, Mailbox


def test_one_persons_many_messages_leave_room_for_anothers(
    database: Database, end_job: Callable[..., int], choose: Callable[..., Any]
) -> None:
    choose(webhook=True, webhook_url="http://127.0.0.1:9")
    choose(owner="ben", webhook=True, webhook_url="http://127.0.0.1:9")
    for _ in range(12):
        end_job()
    end_job(owner="ben")
    taken = take_due(database, Way.WEBHOOK, most=20, most_of_one=5)
    assert sorted(each.owner for each in taken) == ["ann"] * 5 + ["ben"]


def test_two_at_once_send_each_message_once(
    database: Database, settings: Settings, end_job: Callable[..., int], choose: Callable[..., Any], hooks: Hooks
) -> None:
    choose(webhook=True, webhook_url=hooks.url)
    for _ in range(12):
        end_job()

    def send_all(_: int) -> None:
        courier = Courier(database, settings)
        while courier.send_webhooks():
            pass

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(send_all, range(3)))
    ids = [headers["webhook-id"] for headers, _ in hooks.arrived]
    assert len(ids) == len(set(ids)) == 12


def test_nobody_gets_an_email_a_second(
    database: Database, settings: Settings, mailbox: Mailbox, end_job: Callable[..., int], choose: Callable[..., Any]
) -> None:
    values = {"smtp_host": "127.0.0.1", "smtp_port": mailbox.port, "smtp_security": "none"}
    calm = Courier(database, settings.model_copy(update=values))
    choose(email=True, email_address="ann@example.org")
    end_job()
    assert calm.send_mails() == 1
    end_job()
    end_job()
    assert calm.send_mails() == 0, "these wait for what else ends within the minute"
    with database.transaction() as session:
        session.execute(update(Delivery).values(ended_at=utc_now() - timedelta(seconds=61)))
    assert calm.send_mails() == 2
    assert len(mailbox.arrived) == 2
