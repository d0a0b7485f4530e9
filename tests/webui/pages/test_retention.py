"""The page of retention: what would go is shown and asked about before it goes, and only administrators may."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from core.models.base import utc_now
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobState
from core.operations.retention_rule import RetentionRuns
from core.people.audit import AuditFilter, find_entries
from tests.tools.team import Team
from tests.tools.web_content import WebContent


def form_of(page: str, label: str) -> tuple[str, dict[str, str], str]:
    """Where the form with this button goes, what it carries, and what it asks first."""
    (form,) = [each for each in re.findall(r"<form.*?</form>", page, re.DOTALL) if label in each]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    question = re.search(r'data-confirm="([^"]*)"', form)
    return re.findall(r'action="([^"]+)"', form)[0], fields, html.unescape(question[1]) if question else ""


def test_what_would_go_is_shown_asked_about_and_then_deleted(
    client: FlaskClient, everything: Any, content: WebContent
) -> None:
    with content.database.transaction() as session:
        session.execute(update(Take).values(created_at=utc_now() - timedelta(days=30), starred=False))
        session.execute(update(Generation).values(created_at=utc_now() - timedelta(days=30)))
        session.execute(update(Job).values(state=JobState.SUCCEEDED).execution_options(synchronize_session=False))
        session.execute(update(Take).where(Take.id == everything.takes[0]).values(starred=True))
    assert "Retention is <b>off</b>" in client.get("/retention").text
    page = client.get("/retention?days=29").text
    assert "7 takes" in page
    address, fields, question = form_of(page, "Delete 7 takes now")
    assert "7 takes" in question
    assert "are deleted for good" in question
    too_few = client.post(address, data={**fields, "most": "6"}, headers={"Accept": "application/json"})
    assert too_few.status_code == 409
    assert client.post(address, data=fields).status_code == 303
    assert "Waits for maintenance" in client.get("/retention?_part=live_runs").text
    services = client.application.extensions["cadenza"]
    RetentionRuns(services.database, services.store, 0).delete_expired_takes()
    part = client.get("/retention?_part=live_runs").text
    assert re.search(r'data-label="Takes">7<', part)
    with content.database.reading() as session:
        assert session.scalar(select(func.count(Take.id))) == 1
    address, fields, question = form_of(client.get("/retention?days=29").text, "Make 29 days the rule")
    assert question
    client.post(address, data=fields)
    page = client.get("/retention").text
    assert "<b>29 days</b>" in page
    assert "Set by local" in page
    address, fields, _ = form_of(page, "Turn off")
    client.post(address, data=fields)
    assert "Retention is <b>off</b>" in client.get("/retention").text
    with content.database.reading() as session:
        entries = find_entries(session, AuditFilter(action="retention.")).items
    assert [(each.action, each.detail) for each in entries] == [
        ("retention.set_rule", {"days": 0}),
        ("retention.set_rule", {"days": 29}),
        ("retention.run", {"days": 29, "count": 7}),
    ]


def test_members_may_neither_look_nor_act(app: APIFlask, content: WebContent) -> None:
    team = Team(app)
    team.turn_on()
    member = team.browser("mia")
    assert member.get("/retention").status_code == 403
    assert member.post("/retention/rule", data={"days": "1"}).status_code == 403
    assert member.post("/retention/run", data={"days": "1", "most": "9"}).status_code == 403
    assert "/retention" not in member.get("/queue").text
    assert "/retention" in team.browser("ada").get("/queue").text


def test_refused_numbers_are_said(client: FlaskClient) -> None:
    for path, form in (("/retention/rule", {"days": "-1"}), ("/retention/run", {"days": "5", "most": "x"})):
        assert client.post(path, data=form, headers={"Accept": "application/json"}).status_code == 422
    assert client.get("/retention?days=99999").status_code == 422
