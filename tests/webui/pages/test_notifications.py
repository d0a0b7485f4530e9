"""The page of one's notifications: choosing, testing, the news that open pages show, and whose they are."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from core.models.notifications import Delivery, DeliveryState, NotificationChoice, Way
from core.notifications import outbox
from core.people.audit import AuditFilter, find_entries
from core.people.rights import Actor, Role
from tests.tools.team import Team
from tests.tools.web_content import WebContent
from webui.topic_sight import TopicSight

PAGE = "/account/notifications"
HOOK = "http://127.0.0.1:9/hook"


def choice(content: WebContent, owner: str = "local") -> NotificationChoice | None:
    with content.database.reading() as session:
        return session.get(NotificationChoice, owner)


def shown_secret(html: str) -> str:
    found = re.search(r'id="new-secret" value="(whsec_[^"]+)"', html)
    return found[1] if found else ""


def test_a_choice_is_kept_and_the_secret_shown_once(client: FlaskClient, content: WebContent) -> None:
    form = {"failed.shown": "1", "finished.shown": "1", "finished": "true", "min_minutes": "2.5"}
    form |= {"webhook.shown": "1", "webhook": "true", "webhook_url": HOOK, "email_address": ""}
    answer = client.post(PAGE, data=form)
    assert answer.status_code == 200
    stored = choice(content)
    assert stored is not None
    assert shown_secret(answer.text) == stored.webhook_secret != ""
    assert (stored.finished, stored.failed, stored.min_minutes, stored.webhook_url) == (True, False, 2.5, HOOK)
    page = client.get(PAGE).text
    assert stored.webhook_secret not in page
    assert HOOK in page
    again = client.post(PAGE, data={**form, "min_minutes": "3"})
    assert again.status_code == 303
    changed = client.post(f"{PAGE}/secret")
    assert shown_secret(changed.text) not in {"", stored.webhook_secret}


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"webhook": "true"}, "required to be told by webhook"),
        ({"webhook": "true", "webhook_url": "ftp://example.org"}, "is refused; write an address such as"),
        ({"webhook_url": "http://ann:secret@example.org"}, "a password inside is refused"),
        ({"webhook_url": "http://no-such-host.invalid/"}, "is not known"),
        ({"email": "true", "email_address": "ann@example.org"}, "CADENZA_SMTP_HOST"),
        ({"email_address": "nobody"}, "is no e-mail address"),
        ({"min_minutes": "-1"}, "is refused"),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(
    client: FlaskClient, content: WebContent, form: dict[str, str], words: str
) -> None:
    answer = client.post(PAGE, data={"webhook_url": "", "email_address": "", **form})
    assert answer.status_code == 422
    assert re.search(r'class="field-error"[^>]*>.*?' + re.escape(words), answer.text), answer.text[-3000:]
    assert choice(content) is None


def test_an_address_inside_is_refused_where_accounts_are_on(app: APIFlask, content: WebContent) -> None:
    team = Team(app)
    team.turn_on()
    refused = team.browser("mia").post(PAGE, data={"webhook": "true", "webhook_url": HOOK, "email_address": ""})
    assert refused.status_code == 422
    assert "own network" in refused.text
    held = app.extensions["cadenza"]
    app.extensions["cadenza"] = replace(held, settings=held.settings.model_copy(update={"internal_webhooks": True}))
    taken = team.browser("mia").post(PAGE, data={"webhook": "true", "webhook_url": HOOK, "email_address": ""})
    assert taken.status_code == 200


def test_each_way_can_be_tested_once_it_has_an_address(client: FlaskClient, content: WebContent) -> None:
    ask = {"Accept": "application/json"}
    for way, words in (("webhook", "no webhook"), ("email", "CADENZA_SMTP_HOST")):
        answer = client.post(f"{PAGE}/test", data={"way": way}, headers=ask)
        assert answer.status_code == 409
        assert words in answer.json["error"]["message"]
    assert client.post(f"{PAGE}/test", data={"way": "pigeon"}, headers=ask).status_code == 422
    client.post(PAGE, data={"webhook": "true", "webhook_url": HOOK, "email_address": ""})
    assert client.post(f"{PAGE}/test", data={"way": "webhook"}, headers=ask).status_code == 200
    part = client.get(PAGE, query_string={"_part": "live_deliveries"}).text
    assert "This is a test from Cadenza" in part
    assert "On its way" in part
    with content.database.transaction() as session:
        session.execute(update(Delivery).values(state=DeliveryState.FAILED, error="The answer was <b>500</b>."))
    part = client.get(PAGE, query_string={"_part": "live_deliveries"}).text
    assert "The answer was &lt;b&gt;500&lt;/b&gt;." in part
    (again,) = re.findall(r'action="([^"]+/again)"', part)
    assert client.post(again, headers=ask).status_code == 200
    with content.database.reading() as session:
        assert session.scalars(select(Delivery.state)).all() == [DeliveryState.WAITING]


def test_news_are_what_came_since(client: FlaskClient, content: WebContent) -> None:
    first = client.get(f"{PAGE}/news").json
    assert (first["items"], first["last"], first["wanted"]) == ([], 0, False)
    client.post(PAGE, data={"browser": "true", "email_address": "", "webhook_url": ""})
    client.post(f"{PAGE}/test", data={"way": "browser"})
    news = client.get(f"{PAGE}/news", query_string={"after": "1"}).json
    assert news["items"] == []
    with content.database.transaction() as session:
        session.execute(update(Delivery).values(event=outbox.FAILED, content={"id": 7, "title": "T", "error": "why"}))
    news = client.get(f"{PAGE}/news", query_string={"after": "0"}).json
    assert news["wanted"] is True
    assert news["items"] == [{"id": 1, "title": "T has failed", "text": "why", "bad": True, "href": "/jobs/7"}]


def test_nobody_hears_or_touches_what_is_anothers(app: APIFlask, content: WebContent) -> None:
    team = Team(app)
    team.turn_on()
    with content.database.transaction() as session:
        number = outbox.note_test(session, "mia", Way.BROWSER).id
        letter = outbox.note_test(session, "mia", Way.EMAIL).id
        session.execute(update(Delivery).where(Delivery.id == letter).values(state=DeliveryState.FAILED))
    for name, hears in (("mia", True), ("max", False), ("vera", False)):
        assert TopicSight(content.database, Actor(name, Role.MEMBER)).shows(f"notice:{number}") is hears
    for name in ("max", "ada"):
        browser = team.browser(name)
        assert browser.get(f"{PAGE}/news?after=0").json["items"] == []
        assert "a test from Cadenza" not in browser.get(PAGE).text
        assert browser.post(f"{PAGE}/deliveries/{letter}/again").status_code == 404
    assert len(team.browser("mia").get(f"{PAGE}/news?after=0").json["items"]) == 1


def test_acts_are_in_the_audit_log_without_secrets(client: FlaskClient, content: WebContent) -> None:
    client.post(PAGE, data={"webhook": "true", "webhook_url": HOOK, "email_address": ""})
    client.post(f"{PAGE}/secret")
    client.post(f"{PAGE}/test", data={"way": "webhook"})
    with content.database.reading() as session:
        entries: Any = find_entries(session, AuditFilter(action="notification.")).items
    assert [entry.action for entry in entries] == ["notification.test", "notification.secret", "notification.change"]
    assert "whsec_" not in "".join(str(entry.detail) for entry in entries)
