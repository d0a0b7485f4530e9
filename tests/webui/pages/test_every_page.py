"""Every page, empty and with content: it answers, stays on this machine, and runs nobody's script."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.models.datasets import Dataset, Piece, Rejection
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobLog, JobState
from core.models.trainings import Model, Training
from core.models.workers import Worker
from tests.tools.web_content import WebContent
from webui import accounts_switch

LISTS = ["/", "/datasets", "/models", "/trainings", "/generations", "/jobs", "/queue", "/workers", "/limits"]
LISTS += ["/models/compare", "/evaluations", "/account/notifications", "/retention"]
FORMS = ["/datasets/new", "/trainings/new", "/trainings/new?family=tutorial", "/generations/new"]
_SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def pages_of(everything: Any) -> list[str]:
    take = everything.takes[0]
    return [
        *LISTS,
        *FORMS,
        f"/datasets/{everything.dataset}",
        f"/datasets/{everything.dataset}?search=piece&sort=notes&order=desc",
        f"/pieces/{everything.piece}",
        f"/models/{everything.model}",
        f"/trainings/{everything.training}",
        f"/evaluations/{everything.evaluation}",
        f"/models/compare?ids={everything.model}",
        f"/takes/{everything.takes[1]}",
        f"/takes/{everything.takes[2]}",
        f"/generations/{everything.generation}",
        f"/generations/{everything.generation}?sort=polyphony&order=desc&show=sound",
        f"/generations/new?model_id={everything.model}&piece_id={everything.piece}",
        f"/takes/{take}",
        f"/jobs/{everything.job}",
        "/jobs?state=queued&kind=import&search=nothing",
    ]


@pytest.mark.parametrize("path", LISTS + FORMS)
def test_an_empty_page_says_what_to_do_next(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    body = answer.text.partition('<main id="main"')[2]
    assert re.search(r'<(a|button)[^>]*class="[^"]*\bbtn\b', body), "there is no button that leads on"


def test_every_page_answers_and_refers_only_to_what_is_here(
    client: FlaskClient, everything: Any, links_of: Callable[[str], set[str]]
) -> None:
    seen: set[str] = set()
    for path in pages_of(everything):
        answer = client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.text[-300:]}"
        for link in links_of(answer.text):
            assert link.startswith(("/", "#", "?")), f"{path} leads to {link}"
            seen.add(link.partition("#")[0])
    names = (
        "cancel|pause|resume|retry|move|priority|start|drain|remove|delete|rename|star|more|branch|repeat|note|search|"
        "test|again|secret|rule|run"
    )
    actions = re.compile(rf"/({names}|search|takes\.zip|audio/\w+)$")
    for link in sorted(seen - {""}):
        if not actions.search(link) and link != "/live":
            assert client.get(link).status_code == 200, link


def test_no_page_holds_a_script_or_handler_of_its_own(client: FlaskClient, everything: Any) -> None:
    for path in pages_of(everything):
        html = client.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", html), path
        assert not re.search(r"\son[a-z]+\s*=", html), path
        assert "javascript:" not in html, path


def test_names_from_outside_are_never_markup(client: FlaskClient, everything: Any, content: WebContent) -> None:
    with content.database.transaction() as session:
        for table, columns in {
            Dataset: ["name"],
            Piece: ["title", "composer", "file_name"],
            Rejection: ["file_name", "reason"],
            Model: ["name", "dataset_name"],
            Training: ["name", "stop_reason"],
            Generation: ["name", "model_name", "primer_title"],
            Take: ["note"],
            Job: ["title", "phase", "error", "error_trace"],
            Worker: ["name", "device", "problem"],
        }.items():
            for row in session.query(table):
                for column in columns:
                    setattr(row, column, _SCRIPT)
        session.get_one(Job, everything.job).state = JobState.FAILED
        session.get_one(Piece, everything.piece).instruments = [{"name": _SCRIPT, "program": 0, "notes": 1}]
        session.add(JobLog(job_id=everything.job, message=_SCRIPT, level='info" onclick="alert(1)'))
    for path in pages_of(everything):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text, path
        assert "<img src=x" not in answer.text, path
        assert 'onclick="' not in answer.text, path


def test_what_was_searched_for_is_never_markup(client: FlaskClient, everything: Any) -> None:
    for path in ("/datasets", "/models", "/generations", "/jobs", f"/datasets/{everything.dataset}"):
        answer = client.get(path, query_string={"search": _SCRIPT})
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/takes/99", 404),
        ("/datasets/99", 404),
        ("/jobs/99", 404),
        ("/jobs?state=odd", 422),
        ("/jobs?page=-1", 422),
        ("/jobs?page=x", 422),
        ("/instruments/128/samples.wav", 404),
    ],
)
def test_what_is_not_there_or_not_understood_is_said_on_a_page(client: FlaskClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert 'class="empty"' in answer.text
    assert "Traceback" not in answer.text


def test_a_page_beyond_the_last_leads_back(client: FlaskClient, everything: Any) -> None:
    for path in (
        f"/generations/{everything.generation}?page=9",
        f"/datasets/{everything.dataset}?page=9",
        "/jobs?page=9",
    ):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", [*LISTS, "{generation}", "{dataset}"])
def test_a_list_costs_the_same_number_of_queries_however_long(
    client: FlaskClient,
    everything: Any,
    content: WebContent,
    count_queries: Callable[[], AbstractContextManager[list[str]]],
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Every few seconds it looks whether there are accounts by now, which would be one more on a busy machine.
    monkeypatch.setattr(accounts_switch, "_LOOK_EVERY_SECONDS", math.inf)
    path = path.format(generation=f"/generations/{everything.generation}", dataset=f"/datasets/{everything.dataset}")
    client.get(path)
    with count_queries() as few:
        assert client.get(path).status_code == 200
    for number in range(4):
        dataset = content.dataset(f"Dataset {number}")
        model = content.model(f"Model {number}", seed=number + 5)
        content.training(dataset, model)
        content.generation(model, seeds="0-3")
        content.worker(f"worker {number}")
    with count_queries() as many:
        assert client.get(path).status_code == 200
    assert len(many) == len(few), "\n".join(many)
    assert len(many) <= 14


def test_the_first_steps_go_on_with_what_is_there(client: FlaskClient, content: WebContent) -> None:
    assert "Import the chorales" in client.get("/").text
    dataset = content.dataset("My dataset")
    page = client.get("/").text
    assert "Import the chorales" not in page
    assert "Train a Starter" in page
    model = content.model()
    content.training(dataset, model)
    assert "Generate 8 takes" in client.get("/").text
    content.generation(model)
    assert "First steps" not in client.get("/").text


def test_a_number_that_no_row_can_have_is_not_found(client: FlaskClient) -> None:
    """Neither the database nor Python's limit on digits turns an address into an error of ours."""
    rules = [rule for rule in client.application.url_map.iter_rules() if "GET" in (rule.methods or ())]
    paths = {re.sub(r"<number:\w+>", "{}", rule.rule) for rule in rules if "<number:" in rule.rule}
    assert len(paths) > 20
    for path in paths:
        for digits in ("0", str(2**31), "9" * 20, "9" * 5_000):
            answer = client.get(re.sub(r"<[^>]+>", "x", path).replace("{}", digits))
            assert answer.status_code == 404, (path, len(digits))
