"""Steering the queue from the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.models.jobs import Job, JobState
from core.models.queues import PersonLimit
from tests.tools.web_content import WebContent


@pytest.fixture
def jobs(content: WebContent) -> list[int]:
    """Three generations that wait."""
    model = content.model()
    for seeds in ("0-7", "8-15", "16-23"):
        content.generation(model, seeds=seeds, made=0)
    return [1, 2, 3]


def states(content: WebContent) -> list[str]:
    with content.database.reading() as session:
        return [job.state.value for job in session.query(Job).order_by(Job.id)]


def test_jobs_are_moved_and_placed(cadenza: Any, jobs: list[int]) -> None:
    assert cadenza.run("queue", "move", "3").stdout.startswith("job 3: ")
    cadenza.run("queue", "move", "1", "--to", "last")
    shown = json.loads(cadenza.run("queue", "show", "--json").stdout)
    assert [job["id"] for job in sorted(shown["waiting"]["items"], key=lambda job: job["position"])] == [3, 2, 1]
    assert cadenza.run("queue", "priority", "2", "low").stdout == "job 2: low priority\n"
    assert "starts on 20" in cadenza.run("queue", "at", "2", "2027-01-01T10:00Z").stdout
    assert "starts on" not in cadenza.run("queue", "at", "2", "now").stdout
    text = cadenza.run("queue").stdout
    assert text.index("generation  3") < text.index("generation  2")


def test_queues_are_paused_and_resumed(cadenza: Any, jobs: list[int]) -> None:
    assert cadenza.run("queue", "pause", "training").stdout == "training: paused\ngeneration: open\nlight: open\n"
    assert "paused by local" in cadenza.run("queue").stdout
    assert cadenza.run("queue", "resume").stdout.count("open") == 3
    assert "come up paused" in cadenza.run("queue", "restart", "paused").stdout


def test_many_are_cancelled_after_a_question(cadenza: Any, content: WebContent, jobs: list[int]) -> None:
    assert "No job was cancelled" in cadenza.run("cancel", "--all", "--search", "no such title", "--yes").stdout
    assert "No job was cancelled" in cadenza.run("cancel", "--all", "--kind", "generation", answer="n\n").stdout
    assert states(content) == ["queued"] * 3
    assert "Cancel 3 jobs?" in cadenza.run("cancel", "--all", answer="y\n").stdout
    assert states(content) == ["cancelled"] * 3


def test_what_failed_is_tried_again(cadenza: Any, content: WebContent, jobs: list[int]) -> None:
    for job in jobs[:2]:
        content.finish_job(job, JobState.FAILED, "broken")
    assert "2 jobs tried again" in cadenza.run("retry", "--failed", "--yes").stdout
    for job in (4, 5):
        content.finish_job(job, JobState.FAILED, "broken")
    with content.database.transaction() as session:
        session.add(PersonLimit(owner="", waiting_jobs=2))
    result = cadenza.run("retry", "--failed", "--yes", code=1)
    assert "1 jobs tried again" in result.stdout
    assert "the limit is 2: it frees" in result.stderr


def test_a_generation_is_submitted_again_with_other_settings(
    cadenza: Any, content: WebContent, jobs: list[int]
) -> None:
    assert cadenza.run("resubmit", "1", "--set", "seeds=0-3", "--name", "Fewer", "--cancel").stdout == "job 4: Fewer\n"
    assert states(content) == ["cancelled", "queued", "queued", "queued"]
    assert "seeds" in cadenza.run("resubmit", "2", "--set", "seeds=9-1", "--cancel", code=1).stderr
    assert states(content)[1] == "queued"


def test_workers_are_drained(cadenza: Any, content: WebContent) -> None:
    content.worker("gpu-1")
    assert "gpu-1 takes nothing new" in cadenza.run("worker", "drain", "gpu-1").stdout
    assert "drained" in cadenza.run("worker", "list").stdout
    assert cadenza.run("worker", "resume", "gpu-1").stdout == "gpu-1 takes work again\n"
    assert "no worker 'x'" in cadenza.run("worker", "drain", "x", code=1).stderr


def test_limits_are_set_and_removed(cadenza: Any, jobs: list[int]) -> None:
    cadenza.run("limits", "set", "--waiting-jobs", "50")
    cadenza.run("limits", "set", "local", "--waiting-jobs", "3", "--gpu-hours", "1.5")
    text = cadenza.run("limits").stdout
    assert "everybody" in text
    assert "3 of 3" in text
    assert "0.0 of 1.5" in text
    assert "the limit is 3" in cadenza.run("generate", "--model", "1", code=1).stderr
    cadenza.run("limits", "remove", "local")
    assert "no limits of their own" in cadenza.run("limits", "remove", "local", code=1).stderr
