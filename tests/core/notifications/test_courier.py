"""What waits in the outbox arrives, once or more, at real servers; and what cannot is tried again and then given up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from core.models.base import utc_now
from core.models.notifications import Delivery, DeliveryState, NotificationChoice, Way
from core.models.people import Person
from core.notifications import choices
from core.notifications.attempts import PAUSES, take_due
from core.notifications.courier import Courier
from core.notifications.webhooks import Post, post_all
from core.people.rights import Role
from core.records.database import Database
from core.settings import Settings
from tests.tools.receivers import Hooks, Mailbox, is_signed, receive_mail
from tests.tools.tls import Certificates

Read = Callable[[], Sequence[Delivery]]
AT_ONCE = timedelta(0)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """What differs between databases is in the tests of the outbox and of attempts."""
    opened = Database(sqlite_url)
    yield opened
    opened.dispose()


@pytest.fixture
def courier(database: Database, settings: Settings) -> Courier:
    return Courier(database, settings.model_copy(update={"public_url": "https://cadenza.example.org/"}))


def with_mail(database: Database, settings: Settings, mailbox: Mailbox, **more: Any) -> Courier:
    values = {"smtp_host": "127.0.0.1", "smtp_port": mailbox.port, "smtp_security": "none"}
    values |= {"smtp_from": "Cadenza <cadenza@example.org>", "public_url": "https://cadenza.example.org", **more}
    return Courier(database, settings.model_copy(update=values), AT_ONCE)


def test_a_webhook_is_signed_json_with_links(
    courier: Courier, end_job: Callable[..., int], choose: Callable[..., Any], hooks: Hooks, deliveries: Read
) -> None:
    choice = choose(webhook=True, webhook_url=hooks.url)
    number = end_job(title="Chorales „é“", error="It broke.")
    assert courier.send_webhooks() == 1
    ((headers, body),) = hooks.arrived
    assert is_signed(headers, body, choice.webhook_secret)
    assert headers["content-type"] == "application/json"
    (told,) = hooks.bodies()
    (row,) = deliveries()
    assert told["id"] == headers["webhook-id"] == row.message_id
    assert told["type"] == "job.failed"
    assert told["data"]["job"]["title"] == "Chorales „é“"
    assert told["data"]["links"]["page"] == f"https://cadenza.example.org/jobs/{number}"
    assert (row.state, row.answer, row.attempts, row.error) == (DeliveryState.SENT, 204, 1, "")
    assert courier.send_webhooks() == 0


def test_what_does_not_arrive_is_tried_again_later_with_the_same_id(
    courier: Courier, end_job: Callable[..., int], choose: Callable[..., Any], hooks: Hooks, deliveries: Read,
    make_due: Callable[[], None],
) -> None:  # fmt: skip
    choose(webhook=True, webhook_url=hooks.url)
    hooks.answer = lambda number: 503 if number < 2 else 200
    end_job()
    for attempt in (1, 2):
        asked = utc_now()
        assert courier.send_webhooks() == 1
        answered = utc_now()
        (row,) = deliveries()
        assert (row.state, row.attempts, row.answer) == (DeliveryState.WAITING, attempt, 503)
        assert "503" in row.error
        assert row.due_at is not None
        assert asked <= row.due_at - PAUSES[attempt - 1] <= answered
        assert courier.send_webhooks() == 0, "its time has not come"
        make_due()
    assert courier.send_webhooks() == 1
    (row,) = deliveries()
    assert (row.state, row.attempts, row.error) == (DeliveryState.SENT, 3, "")
    assert len({headers["webhook-id"] for headers, _ in hooks.arrived}) == 1
    assert len({body for _, body in hooks.arrived}) == 1


def test_after_the_last_attempt_it_has_failed(
    courier: Courier, end_job: Callable[..., int], choose: Callable[..., Any], deliveries: Read, database: Database,
    make_due: Callable[[], None],
) -> None:  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    choose(webhook=True, webhook_url=f"http://127.0.0.1:{port}/nobody")
    end_job()
    with database.transaction() as session:
        session.execute(update(Delivery).values(attempts=len(PAUSES) - 1))
    assert courier.send_webhooks() == 1
    assert deliveries()[0].state is DeliveryState.WAITING
    make_due()
    assert courier.send_webhooks() == 1
    (row,) = deliveries()
    assert row.state is DeliveryState.FAILED
    assert row.error.startswith("Not sent: ")
    assert row.ended_at is not None


@pytest.mark.parametrize(("status", "state", "words"), [(410, "failed", "410"), (302, "waiting", "redirect")])
def test_redirects_are_not_followed_and_gone_is_gone(
    courier: Courier, end_job: Callable[..., int], choose: Callable[..., Any], hooks: Hooks, deliveries: Read,
    status: int, state: str, words: str,
) -> None:  # fmt: skip
    choose(webhook=True, webhook_url=hooks.url)
    hooks.answer = lambda _number: status
    hooks.headers_of_answer = {"Location": hooks.url + "/elsewhere"}
    end_job()
    courier.send_webhooks()
    (row,) = deliveries()
    assert (row.state.value, row.answer) == (state, status)
    assert words in row.error
    assert len(hooks.arrived) == 1


def test_with_accounts_nothing_is_sent_inside_unless_that_is_allowed(
    database: Database, settings: Settings, end_job: Callable[..., int], choose: Callable[..., Any], hooks: Hooks,
    deliveries: Read, make_due: Callable[[], None],
) -> None:  # fmt: skip
    with database.transaction() as session:
        session.add(Person(name="ann", role=Role.ADMINISTRATOR))
    choose(webhook=True, webhook_url=hooks.url.replace("127.0.0.1", "localhost"))
    end_job()
    Courier(database, settings).send_webhooks()
    (row,) = deliveries()
    assert "own network" in row.error
    assert "CADENZA_INTERNAL_WEBHOOKS" in row.error
    assert hooks.arrived == []
    make_due()
    Courier(database, settings.model_copy(update={"internal_webhooks": True})).send_webhooks()
    assert len(hooks.arrived) == 1
    assert hooks.arrived[0][0]["host"].startswith("localhost:"), "the name stays, although its address was used"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "10.1.2.3", "169.254.169.254", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0"]
)
def test_no_way_of_writing_an_inner_address_is_reached(host: str) -> None:
    (result,) = post_all([Post(f"http://{host}:1/", "msg_1", b"{}", ())], internal=False)
    assert "own network" in result.error


def test_a_name_that_changes_its_address_after_it_was_judged_reaches_nothing_inside(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is asked for once: what it says the second time (DNS rebinding) does not count."""
    port = int(hooks.url.split(":")[2].partition("/")[0])
    asked: list[str] = []
    real = socket.getaddrinfo

    def changing(host: str, *args: Any, **options: Any) -> Any:
        if host != "changes.example.org":
            return real(host, *args, **options)
        asked.append(host)
        address = "192.88.99.77" if len(asked) == 1 else "127.0.0.1"  # a public one that leads nowhere
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    (result,) = post_all([Post(f"http://changes.example.org:{port}/", "msg_1", b"{}", ())], internal=False, seconds=1)
    assert result.error
    assert asked == ["changes.example.org"]
    assert hooks.arrived == []


def test_a_slow_receiver_holds_nobody_up(hooks: Hooks) -> None:
    free = threading.Event()
    hooks.before_answer = lambda body: body == b"slow" and free.wait(60)
    posts = [Post(hooks.url, f"msg_{number}", body, ()) for number, body in enumerate([b"slow", b"fast"])]
    slow, fast = post_all(posts, internal=True, seconds=2)
    free.set()
    assert slow.error == "There was no answer within 2 s."
    assert fast.answer == 204


def test_what_a_dead_process_had_taken_is_sent_by_the_next(
    database: Database, courier: Courier, end_job: Callable[..., int], choose: Callable[..., Any], hooks: Hooks,
    make_due: Callable[[], None], deliveries: Read,
) -> None:  # fmt: skip
    choose(webhook=True, webhook_url=hooks.url)
    end_job()
    (taken,) = take_due(database, Way.WEBHOOK, most=20, most_of_one=5)
    assert courier.send_webhooks() == 0, "another process sends it just now"
    make_due()  # minutes later
    assert courier.send_webhooks() == 1
    assert hooks.arrived[0][0]["webhook-id"] == taken.message_id
    assert deliveries()[0].state is DeliveryState.SENT


def test_a_new_secret_signs_beside_the_former_for_a_day(
    database: Database, courier: Courier, end_job: Callable[..., int], choose: Callable[..., Any], hooks: Hooks
) -> None:
    former = choose(webhook=True, webhook_url=hooks.url).webhook_secret
    with database.transaction() as session:
        new = choices.change_secret(session, "ann")
    end_job()
    courier.send_webhooks()
    assert is_signed(*hooks.arrived[0], new)
    assert is_signed(*hooks.arrived[0], former)
    with database.transaction() as session:
        session.execute(update(NotificationChoice).values(secret_changed_at=utc_now() - timedelta(hours=25)))
    end_job()
    courier.send_webhooks()
    assert is_signed(*hooks.arrived[1], new)
    assert not is_signed(*hooks.arrived[1], former)


def test_ends_that_come_together_are_one_email(
    database: Database, settings: Settings, mailbox: Mailbox, end_job: Callable[..., int], choose: Callable[..., Any],
    deliveries: Read,
) -> None:  # fmt: skip
    courier = with_mail(database, settings, mailbox)
    choose(email=True, email_address="ann@example.org")
    number = end_job(title="Bach\r\nBcc: everybody@example.org", minutes=200)
    assert courier.send_mails() == 1
    ((receivers, message),) = mailbox.arrived
    assert receivers == ["ann@example.org"]
    assert message["Subject"] == "[Cadenza] Bach Bcc: everybody@example.org is done"
    assert message["From"] == "Cadenza <cadenza@example.org>"
    assert message["Bcc"] is None
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_content()
    assert f"https://cadenza.example.org/jobs/{number}" in text
    assert "3 h 20 min" in text
    assert "https://cadenza.example.org/account/notifications" in text
    for error in ("", "It broke.", ""):
        end_job(error=error)
    assert courier.send_mails() == 3
    assert len(mailbox.arrived) == 2
    assert mailbox.arrived[1][1]["Subject"] == "[Cadenza] 3 jobs have ended, 1 of them failed"
    assert "It broke." in mailbox.arrived[1][1].get_content()
    assert {each.state for each in deliveries()} == {DeliveryState.SENT}


def test_a_refused_receiver_fails_and_a_busy_server_is_tried_again(
    database: Database, settings: Settings, mailbox: Mailbox, end_job: Callable[..., int], choose: Callable[..., Any],
    deliveries: Read,
) -> None:  # fmt: skip
    courier = with_mail(database, settings, mailbox)
    choose(email=True, email_address="gone@example.org")
    choose(owner="ben", email=True, email_address="later@example.org")
    choose(owner="cid", email=True, email_address="cid@example.org")
    mailbox.refuse = lambda receiver: {"gone": "550 no such user", "later": "450 busy"}.get(receiver.split("@")[0], "")
    for owner in ("ann", "ben", "cid"):
        end_job(owner=owner)
    courier.send_mails()
    found = {each.owner: each for each in deliveries()}
    assert (found["ann"].state, found["ann"].answer) == (DeliveryState.FAILED, 550)
    assert "no such user" in found["ann"].error
    assert (found["ben"].state, found["ben"].answer) == (DeliveryState.WAITING, 450)
    assert found["cid"].state is DeliveryState.SENT


@pytest.mark.parametrize("address", ["ann@[", "=?utf-8?q?a=0Ab?=@example.org", ":@example.org", "a@."])
def test_an_address_that_no_mail_can_carry_holds_nobody_up(
    database: Database, settings: Settings, mailbox: Mailbox, end_job: Callable[..., int], choose: Callable[..., Any],
    deliveries: Read, address: str,
) -> None:  # fmt: skip
    choose(email=True, email_address=address)
    choose(owner="ben", email=True, email_address="ben@example.org")
    for owner in ("ann", "ben"):
        end_job(owner=owner)
    with_mail(database, settings, mailbox).send_mails()
    found = {each.owner: each for each in deliveries()}
    assert found["ann"].state is DeliveryState.FAILED
    assert "is no e-mail address" in found["ann"].error
    assert found["ben"].state is DeliveryState.SENT


def test_a_server_that_is_away_loses_nothing(
    database: Database, settings: Settings, end_job: Callable[..., int], choose: Callable[..., Any], deliveries: Read,
    make_due: Callable[[], None],
) -> None:  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as free:
        away = Mailbox(port=free.getsockname()[1])
    choose(email=True, email_address="ann@example.org")
    end_job()
    with_mail(database, settings, away).send_mails()
    (row,) = deliveries()
    assert row.state is DeliveryState.WAITING
    assert "cannot be used" in row.error
    make_due()
    with receive_mail() as mailbox:
        with_mail(database, settings, mailbox).send_mails()
        assert len(mailbox.arrived) == 1


def test_a_server_that_wants_tls_and_a_password_gets_both(
    database: Database, settings: Settings, end_job: Callable[..., int], choose: Callable[..., Any], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, deliveries: Read, make_due: Callable[[], None],
) -> None:  # fmt: skip
    import ssl

    certificates = Certificates.write(tmp_path / "tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    choose(email=True, email_address="ann@example.org")
    end_job()
    with receive_mail("cadenza", "a secret", context) as mailbox:
        access = {"smtp_security": "starttls", "smtp_user": "cadenza", "smtp_password": SecretStr("a secret")}
        courier = with_mail(database, settings, mailbox, **access)
        courier.send_mails()
        assert "certificate" in deliveries()[0].error, "its authority is not known here"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
        make_due()
        courier.send_mails()
        assert mailbox.signed_in == ["cadenza"]
        assert len(mailbox.arrived) == 1


def test_whoever_is_disabled_or_has_no_address_any_more_is_told_nothing(
    database: Database, settings: Settings, mailbox: Mailbox, hooks: Hooks, end_job: Callable[..., int],
    choose: Callable[..., Any], deliveries: Read,
) -> None:  # fmt: skip
    with database.transaction() as session:
        session.add(Person(name="ann", role=Role.MEMBER, disabled=True, email="ann@example.org"))
        session.add(Person(name="ben", role=Role.MEMBER))
    for owner in ("ann", "ben"):
        choose(owner=owner, email=True, webhook=True, webhook_url=hooks.url if owner == "ann" else "")
        end_job(owner=owner)
    courier = with_mail(database, settings.model_copy(update={"internal_webhooks": True}), mailbox)
    courier.send_mails()
    courier.send_webhooks()
    assert hooks.arrived == mailbox.arrived == []
    assert {each.state for each in deliveries()} == {DeliveryState.FAILED}
