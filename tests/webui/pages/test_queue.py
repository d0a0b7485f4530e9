"""The page of the queue, its workers and limits, and the forms that begin with what was there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from core.models.generations import Generation
from core.models.jobs import Job, JobKind, JobState, Queue, Unit
from core.models.queues import PersonLimit
from core.models.trainings import Training
from core.queue.enqueue import enqueue
from core.services.trainings import create_training
from tests.tools.team import Team
from tests.tools.web_content import WebContent

JSON = {"Accept": "application/json"}


@pytest.fixture
def jobs(content: WebContent) -> list[int]:
    """Three generations that wait."""
    model = content.model()
    for seeds in ("0-7", "8-15", "16-23"):
        content.generation(model, seeds=seeds, made=0)
    with content.database.reading() as session:
        return list(session.scalars(select(Job.id).order_by(Job.id)))


def job(content: WebContent, job_id: int) -> Job:
    with content.database.reading() as session:
        return session.get_one(Job, job_id)


def shown(client: FlaskClient) -> list[int]:
    return [int(number) for number in re.findall(r'data-job="(\d+)"', client.get("/queue").text)]


def test_jobs_are_moved_and_placed(client: FlaskClient, content: WebContent, jobs: list[int]) -> None:
    one, two, three = jobs
    assert shown(client) == jobs
    assert client.post(f"/jobs/{three}/move", data={"to": "first"}).status_code == 303
    client.post(f"/jobs/{one}/move", data={"to": "down"})
    assert shown(client) == [three, two, one]
    client.post(f"/jobs/{one}/move", data={"before": str(two)})
    assert shown(client) == [three, one, two]
    refused = client.post(f"/jobs/{one}/move", data={"to": "sideways"}, headers=JSON)
    assert "to: 'sideways' is unknown; allowed are first, up, down, last" in refused.json["error"]["message"]
    client.post(f"/jobs/{two}/priority", data={"priority": "high"})
    assert shown(client) == [two, three, one]
    assert "High" in client.get("/queue?_part=live_queue").text
    later = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    client.post(f"/jobs/{one}/start", data={"start_at": later.isoformat()})
    assert job(content, one).not_before == later
    assert f"Starts on {later:%Y-%m-%d} at {later:%H:%M} UTC" in client.get(f"/jobs/{one}").text
    client.post(f"/jobs/{one}/start", data={"start_at": ""})
    assert job(content, one).not_before is None


def test_queues_are_paused_resumed_and_come_up_as_chosen(client: FlaskClient, jobs: list[int]) -> None:
    said = client.post("/queue/pause", data={"queue": "generation"}, headers=JSON).json
    assert said["message"] == "The queue generation is paused; what runs goes on to its end."
    page = client.get("/queue").text
    assert page.count("Resume all queues") == 1
    assert "by local" in page
    assert client.post("/queue/pause", data={"queue": "odd"}).status_code == 422
    assert client.post("/queue/resume", headers=JSON).json["message"] == "All queues are going on."
    assert "Resume all queues" not in client.get("/queue").text
    client.post("/queue/start", data={"paused": "true"})
    assert re.search(r'value="true" selected', client.get("/queue").text)


def test_all_of_mine_is_cancelled_after_the_count(client: FlaskClient, content: WebContent, jobs: list[int]) -> None:
    page = client.get("/queue").text
    assert "3 waiting or running jobs of local will be cancelled" in page
    stale = client.post("/jobs/cancel", data={"owner": "local", "state": "active", "most": "2"}, headers=JSON)
    assert (stale.status_code, job(content, jobs[0]).state) == (409, JobState.QUEUED)
    done = client.post("/jobs/cancel", data={"owner": "local", "state": "active", "most": "3"}, headers=JSON)
    assert done.json["message"] == "3 jobs cancelled."
    assert {job(content, number).state for number in jobs} == {JobState.CANCELLED}
    assert client.post("/jobs/cancel", data={"most": "x"}).status_code == 422


def test_what_failed_is_tried_again_from_the_list(client: FlaskClient, content: WebContent, jobs: list[int]) -> None:
    for number in jobs[:2]:
        content.finish_job(number, JobState.FAILED, "broken")
    assert "Retry 2 failed jobs" in client.get("/jobs?state=failed").text
    assert client.post("/jobs/retry", data={"most": "2"}, headers=JSON).json["message"] == "2 jobs tried again."
    assert "Retry" not in client.get("/jobs?state=failed").text.partition("many")[2].partition("job-row")[0]


def test_times_are_told_once_some_jobs_were_measured(client: FlaskClient, content: WebContent) -> None:
    model = content.model()
    content.worker("generation")
    content.generation(model, made=0)
    assert " done in " not in client.get("/queue").text
    content.measured_job(Queue.GENERATION, JobKind.GENERATION, work=480.0, seconds=30.0)
    assert re.search(r"starts now, done in \d+ s to \d+ (s|min)", client.get("/queue").text)


def test_a_wide_range_of_times_is_told_by_its_lower_end(client: FlaskClient, content: WebContent) -> None:
    model = content.model()
    content.worker("generation")
    content.generation(model, made=0)
    for seconds in (20.0, 9_000.0):
        content.measured_job(Queue.GENERATION, JobKind.GENERATION, work=480.0, seconds=seconds)
    assert re.search(r"done in at least \d+ (s|min)<", client.get("/queue").text)


def test_an_administrator_steers_what_others_wait_for(app: APIFlask, content: WebContent, jobs: list[int]) -> None:
    with content.database.transaction() as session:
        for table in (Job, Unit):
            session.execute(update(table).values(owner="max"))
    team = Team(app)
    team.turn_on()
    page = team.browser("mia").get("/queue").text
    assert f"Job {jobs[0]} · max" in page
    assert f"/jobs/{jobs[0]}/" not in page.partition('id="waiting-generation"')[2]
    administrator = team.browser("ada")
    page = administrator.get("/queue").text
    assert "data-grip" not in page
    assert all(f'action="/jobs/{jobs[0]}/{what}"' in page for what in ("priority", "move", "pause", "cancel"))
    administrator.post(f"/jobs/{jobs[2]}/priority", data={"priority": "high"})
    assert shown(administrator)[0] == jobs[2]


def test_a_worker_is_drained_by_a_button(client: FlaskClient, content: WebContent) -> None:
    content.worker("gpu <1>")
    assert client.post("/workers/drain", data={"name": "gpu <1>"}).status_code == 303
    page = client.get("/workers").text
    assert "Drained" in page
    assert "Take work again" in page
    client.post("/workers/resume", data={"name": "gpu <1>"})
    assert "Drained" not in client.get("/workers").text
    assert client.post("/workers/drain", data={"name": "x"}).status_code == 422


def test_limits_are_set_by_a_form(client: FlaskClient, content: WebContent, jobs: list[int]) -> None:
    values = {"owner": "local", "waiting_jobs": "3", "running_units": "", "gpu_hours_week": "1.5", "storage_gib": "2"}
    assert client.post("/limits", data=values).location == "/limits"
    with content.database.reading() as session:
        row = session.get_one(PersonLimit, "local")
        assert (row.waiting_jobs, row.running_units, row.gpu_hours_week) == (3, None, 1.5)
        assert row.storage_bytes == 2 * 2**30
    assert 'value="1.5"' in client.get("/limits/of?owner=local").text
    refused = client.post("/generations", data={"model_id": "1", "seeds": "1", "primer_kind": "none"})
    assert refused.status_code == 409
    assert "local has 3 waiting jobs, and the limit is 3" in refused.text
    for name, text in (("waiting_jobs", "-1"), ("running_units", "1.5"), ("storage_gib", "much")):
        assert client.post("/limits", data={"owner": "local", name: text}).status_code == 422
    assert client.post("/limits/remove", data={"owner": "local"}).status_code == 303
    assert client.post("/limits/remove", data={"owner": "local"}).status_code == 409


def test_a_generation_is_edited_and_takes_the_place_of_the_old_one(
    client: FlaskClient, content: WebContent, jobs: list[int]
) -> None:
    form = client.get("/generations/new?like=2").text
    assert 'name="seeds" value="8-15"' in form
    assert f'name="instead_of" value="{jobs[1]}"' in form
    values = {"model_id": "1", "seeds": "8-9", "length": "60", "primer_kind": "none", "priority": "low"}
    made = client.post("/generations", data={**values, "instead_of": str(jobs[1]), "cancel_old": "true"})
    assert made.location == "/generations/4"
    assert job(content, jobs[1]).state is JobState.CANCELLED
    with content.database.reading() as session:
        new = session.get_one(Generation, 4)
        assert (new.settings["seeds"], job(content, new.job_id).priority) == ("8-9", -1)
    values |= {"seeds": "9-1", "instead_of": str(jobs[0]), "cancel_old": "true"}
    refused = client.post("/generations", data=values)
    assert refused.status_code == 422
    assert job(content, jobs[0]).state is JobState.QUEUED, "nothing is lost when the new one is refused"


def test_a_training_is_edited(client: FlaskClient, content: WebContent) -> None:
    dataset = content.dataset()
    with content.database.transaction() as session:
        training = create_training(session, dataset_id=dataset, family="lstm", values={"units": 96})
    form = client.get(f"/trainings/new?like={training.id}").text
    assert re.search(r'name="units" value="96"', form)
    answer = client.post(f"/api/v1/jobs/{training.job_id}/resubmit", json={"settings": {"units": 128}, "cancel": True})
    assert answer.status_code == 202, answer.text
    with content.database.reading() as session:
        again = session.scalars(select(Training).order_by(Training.id.desc())).first()
        assert (again.settings["units"], again.job_id) == (128, answer.json["id"])
    assert job(content, training.job_id).state is JobState.CANCELLED


def test_only_generations_and_trainings_are_submitted_again(client: FlaskClient, content: WebContent) -> None:
    with content.database.transaction() as session:
        made = enqueue(
            session,
            kind=JobKind.AUDIO,
            queue=Queue.LIGHT,
            title="a",
            owner="local",
            payloads=[{}],
            request={},
        )
    answer = client.post(f"/api/v1/jobs/{made.id}/resubmit", json={})
    assert answer.status_code == 409
    assert "it is of kind audio; only generations and trainings" in answer.json["error"]["message"]
