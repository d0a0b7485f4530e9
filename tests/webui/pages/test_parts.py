"""Parts of pages that live updates fetch: the same as in the page, and not sent again while nothing changed."""

from __future__ import annotations

import re
from typing import Any

from flask.testing import FlaskClient

from core.models.datasets import Dataset
from core.models.jobs import Job, JobState
from core.models.trainings import Training
from core.queue.control import pause
from tests.tools.web_content import WebContent


def live_parts(page: str) -> list[str]:
    return re.findall(r'data-part="(\w+)"', page)


def test_every_part_of_every_page_is_what_the_page_shows(
    client: FlaskClient, everything: Any, content: WebContent
) -> None:
    dataset = content.dataset("Waiting")
    with content.database.transaction() as session:
        session.get_one(Training, everything.training).job_id = everything.job
        waiting = session.get_one(Dataset, dataset)
        waiting.ready, waiting.job_id = False, everything.job
    paths = ["/", "/datasets", "/models", "/trainings", "/generations", "/jobs"]
    paths += [f"/datasets/{dataset}", f"/models/{everything.model}", f"/trainings/{everything.training}"]
    paths += [f"/generations/{everything.generation}?sort=seed&page=1", f"/jobs/{everything.job}"]
    tokens = re.compile(r'(name="csrf_token" value=)"[^"]*"|(<time[^>]*>)[^<]*')
    for path in paths:
        page = client.get(path).text
        parts = live_parts(page)
        assert parts, f"{path} is never updated"
        for part in parts:
            answer = client.get(path.partition("?")[0], query_string={**_arguments(path), "_part": part})
            assert answer.status_code == 200
            assert tokens.sub("", answer.text) in tokens.sub("", page), f"{path} shows another {part}"


def test_an_unchanged_part_is_not_sent_again(client: FlaskClient, everything: Any, content: WebContent) -> None:
    first = client.get("/jobs?_part=live_list")
    etag = first.headers["ETag"]
    same = client.get("/jobs?_part=live_list", headers={"If-None-Match": etag})
    assert (same.status_code, same.data) == (304, b"")
    with content.database.transaction() as session:
        pause(session, everything.job)
    changed = client.get("/jobs?_part=live_list", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert "Paused" in changed.text


def test_other_blocks_are_no_parts(client: FlaskClient) -> None:
    for name in ("content", "title", "live_nothing", "__init__"):
        assert client.get("/jobs", query_string={"_part": name}).status_code == 422


def test_progress_is_shown_with_its_rate_and_what_is_left(
    client: FlaskClient, everything: Any, content: WebContent
) -> None:
    with content.database.transaction() as session:
        job = session.get_one(Job, everything.job)
        job.state, job.progress_done, job.progress_total, job.progress_unit = JobState.RUNNING, 250, 1000, "files"
        job.phase, job.rate, job.rate_unit, job.seconds_left = "reading", 1234.0, "files/s", 200.0
    part = client.get("/?_part=live_jobs").text
    assert '<progress max="1" value="0.2500"' in part
    words = " ".join(re.sub("<[^>]+>", "", part).split())
    assert "25 % 250 / 1,000 files · reading 1.23 k files/s · 3 min 20 s left" in words


def _arguments(path: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in path.partition("?")[2].split("&") if pair)
