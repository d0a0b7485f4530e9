"""Retention over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import update

from core.models.base import utc_now
from core.models.generations import Take
from core.models.jobs import Job, JobState
from tests.tools.web_content import WebContent


def test_a_program_looks_sets_the_rule_and_deletes(api: Any, content: WebContent) -> None:
    content.generation(content.model(), "0-3")
    with content.database.transaction() as session:
        session.execute(update(Take).values(created_at=utc_now() - timedelta(days=30)))
        session.execute(update(Job).values(state=JobState.SUCCEEDED).execution_options(synchronize_session=False))
    found = api.get("/retention", days=29)
    assert (found["days"], found["set_by"], found["runs"]) == (0, "", [])
    assert [(each["owner"], each["expired_takes"]) for each in found["people"]] == [("local", 4)]
    assert api.ask("PUT", "/retention", json={"days": 40}).json["days"] == 40
    assert api.ask("PUT", "/retention", json={"days": None}).json["set_by"] == ""
    api.refused("PUT", "/retention", 422, json={"days": -1})
    assert "4 takes" in api.refused("POST", "/retention/runs", 409, json={"days": 29, "most": 3})[0]
    assert api.post("/retention/runs", {"days": 29, "most": 4})["finished_at"] is None
    assert len(api.get("/retention")["runs"]) == 1
