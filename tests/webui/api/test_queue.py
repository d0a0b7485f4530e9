"""Steering the queue through the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.models.jobs import JobState
from core.models.queues import PersonLimit
from core.people.rights import Actor, Role
from tests.tools.web_content import WebContent


@pytest.fixture
def jobs(api: Any, content: WebContent) -> list[int]:
    """Four generations that wait."""
    model = content.model()
    values = {"model": model, "settings": {"seeds": "0-7"}}
    return [api.post("/generations", values)["job"]["id"] for _ in range(4)]


@pytest.fixture
def be(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the requests those of somebody else."""

    def become(name: str, role: Role) -> None:
        monkeypatch.setattr("webui.access.actor_of_request", lambda: Actor(name, role))

    return become


def order(api: Any) -> list[int]:
    listed = api.get("/jobs", state="queued")["items"]
    return [job["id"] for job in sorted(listed, key=lambda job: (job["position"], job["id"]))]


def test_jobs_are_moved(api: Any, jobs: list[int]) -> None:
    one, two, three, four = jobs
    assert order(api) == jobs
    api.post(f"/jobs/{three}/move", {"to": "first"}, 200)
    api.post(f"/jobs/{one}/move", {"to": "down"}, 200)
    api.post(f"/jobs/{four}/move", {"before": two}, 200)
    assert order(api) == [three, four, two, one]
    for values in ({}, {"to": "first", "before": two}):
        message, fields = api.refused("POST", f"/jobs/{one}/move", 422, json=values)
        assert "give either to (first, up, down or last) or before" in message
        assert set(fields) == {"to"}


def test_a_job_is_placed_at_submission_and_later(api: Any, content: WebContent, jobs: list[int]) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=5)).replace(microsecond=0)
    values = {"model": 1, "settings": {"seeds": "1"}, "priority": "high", "start_at": soon.isoformat()}
    made = api.post("/generations", values)["job"]
    assert (made["priority"], made["not_before"]) == ("high", soon.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
    assert api.get(f"/jobs/{made['id']}")["why_waiting"] == f"starts on {soon:%Y-%m-%d} at {soon:%H:%M} UTC"
    assert [job["id"] for job in api.get("/jobs", state="scheduled")["items"]] == [made["id"]]
    path = f"/jobs/{made['id']}"
    now = api.ask("PATCH", path, json={"priority": "low", "start_at": ""}).json
    assert (now["priority"], now["not_before"], now["units"][0]["state"]) == ("low", None, "waiting")
    for text, said in (
        ("tomorrow", "start_at: 'tomorrow' is no time; write it as 2026-12-24T18:00Z."),
        ("2020-01-01T00:00Z", "start_at: '2020-01-01T00:00Z' is refused; allowed is from now to 20"),
        ("9999-12-31T23:59-23:59", "start_at: '9999-12-31T23:59-23:59' is no time"),
    ):
        assert said in api.refused("PATCH", path, 422, json={"start_at": text})[0]
        assert said in api.refused("POST", "/generations", 422, json={**values, "start_at": text})[0]


def test_a_priority_above_normal_needs_a_right(api: Any, content: WebContent, be: Any) -> None:
    model = content.model()
    be("bob", Role.MEMBER)
    values = {"model": model, "settings": {"seeds": "1"}}
    message, _ = api.refused("POST", "/generations", 403, json={**values, "priority": "high"})
    assert message == "bob is a member here and may not raise a priority above normal; an administrator may."
    made = api.post("/generations", {**values, "priority": "low"})["job"]
    assert made["owner"] == "bob"
    api.refused("PATCH", f"/jobs/{made['id']}", 403, json={"priority": "high"})
    api.refused("POST", "/queues/pause", 403, json={})
    api.refused("POST", "/workers/drain", 403, json={"name": "w"})
    api.refused("GET", "/limits", 403)
    assert api.get("/limits/mine")["used_waiting_jobs"] == 1


def test_many_jobs_are_cancelled_after_their_number_was_asked_for(api: Any, jobs: list[int], be: Any) -> None:
    total = api.get("/jobs", state="active")["total"]
    message, _ = api.refused("POST", "/jobs/cancel", 409, json={"most": total - 1})
    assert message.startswith("4 jobs fit by now, but only 3 were asked about; nothing was cancelled.")
    assert api.get("/jobs", state="queued")["total"] == 4
    be("bob", Role.MEMBER)
    assert api.post("/jobs/cancel", {"most": 100}, 200)["jobs"] == [], "only one's own"
    api.refused("POST", "/jobs/cancel", 403, json={"most": 100, "owner": "local"})
    be("ann", Role.ADMINISTRATOR)
    assert api.post("/jobs/cancel", {"most": 100, "kind": "training"}, 200)["jobs"] == []
    assert sorted(api.post("/jobs/cancel", {"most": total, "owner": "local"}, 200)["jobs"]) == jobs
    assert {job["state"] for job in api.get("/jobs")["items"]} == {"cancelled"}
    (entry,) = api.get("/audit", action="job.cancel")["items"]
    assert (entry["actor"], entry["title"]) == ("ann", "4 jobs")
    assert entry["detail"] == {"count": 4, "jobs": f"{jobs[0]}-{jobs[3]}"}


def test_all_that_failed_is_tried_again_once(api: Any, content: WebContent, jobs: list[int]) -> None:
    for job in jobs[:3]:
        content.finish_job(job, JobState.FAILED, "broken")
    api.bare(f"/jobs/{jobs[0]}/retry")
    answer = api.post("/jobs/retry", {"most": 2}, 200)
    assert (len(answer["jobs"]), answer["refusals"]) == (2, [])
    assert [api.get(f"/jobs/{job}")["retry_of_id"] for job in answer["jobs"]] == jobs[1:3]
    entry = api.get("/audit", action="job.retry")["items"][0]
    new = f"{answer['jobs'][0]}-{answer['jobs'][1]}"
    assert entry["detail"] == {"count": 2, "jobs": f"{jobs[1]}-{jobs[2]}", "new_jobs": new}
    assert api.post("/jobs/retry", {"most": 9}, 200)["jobs"] == []


def test_retries_stop_at_a_limit(api: Any, content: WebContent, jobs: list[int]) -> None:
    for job in jobs:
        content.finish_job(job, JobState.FAILED, "broken")
    with content.database.transaction() as session:
        session.add(PersonLimit(owner="", waiting_jobs=2))
    answer = api.post("/jobs/retry", {"most": 4}, 200)
    assert len(answer["jobs"]) == 2
    assert answer["refusals"] == [
        "local has 2 waiting jobs, and the limit is 2: it frees with each job that starts or is cancelled."
    ]
    assert "the limit is 2" in api.refused("POST", "/generations", 409, json={"model": 1})[0]


def test_queues_are_paused_and_resumed(api: Any, jobs: list[int]) -> None:
    paused = api.post("/queues/pause", {"queues": ["generation"], "stop_running": True}, 200)["items"]
    assert [(each["name"], each["paused"], each["stop_running"]) for each in paused] == [
        ("training", False, False),
        ("generation", True, True),
        ("light", False, False),
    ]
    assert api.get(f"/jobs/{jobs[0]}")["why_waiting"] == "the queue 'generation' is paused"
    assert [queue["paused"] for queue in api.get("/overview")["queues"]] == [False, True, False]
    assert not any(each["paused"] for each in api.post("/queues/resume", {}, 200)["items"])
    chosen = api.post("/queues/start", {"paused": True}, 200)["items"]
    assert all(each["start_paused"] and not each["paused"] for each in chosen)
    assert api.get("/queues")["items"] == chosen


def test_a_worker_is_drained(api: Any, content: WebContent, jobs: list[int]) -> None:
    content.worker("gpu-1")
    assert api.post("/workers/drain", {"name": "gpu-1"}, 200)["draining"]
    assert [worker["draining"] for worker in api.get("/workers")["items"]] == [True]
    assert "no worker 'x'; known are: gpu-1" in api.refused("POST", "/workers/drain", 422, json={"name": "x"})[0]
    assert not api.post("/workers/resume", {"name": "gpu-1"}, 200)["draining"]


def test_limits_are_set_shown_and_removed(api: Any, jobs: list[int]) -> None:
    everybody = api.ask("PUT", "/limits", json={"waiting_jobs": 50}).json
    assert (everybody["owner"], everybody["waiting_jobs"], everybody["own"]) == ("", 50, False)
    api.ask(
        "PUT", "/limits", json={"owner": "local", "running_units": 2, "gpu_hours_week": 1.5, "storage_bytes": 10**12}
    )
    mine = api.get("/limits/mine")
    assert (mine["waiting_jobs"], mine["running_units"], mine["gpu_hours_week"], mine["own"]) == (None, 2, 1.5, True)
    assert mine["used_waiting_jobs"] == 4
    assert [each["owner"] for each in api.get("/limits")["items"]] == ["", "local"]
    api.ask("DELETE", "/limits?owner=local", 204)
    assert api.get("/limits/mine")["waiting_jobs"] == 50
    api.refused("DELETE", "/limits?owner=local", 409)
    assert "running_units: '-1' is refused" in api.refused("PUT", "/limits", 422, json={"running_units": -1})[0]
