"""The shipped model on the pages: the first thing to hear on an empty dashboard, and its card."""

from __future__ import annotations

import re
from typing import Any

from flask.testing import FlaskClient

from core.models.generations import Generation
from core.models.jobs import Job, JobState
from core.ready.shipped import ready_model
from tests.tools.web_content import WebContent
from webui.pages.model_cards import card_as_html


def test_an_empty_dashboard_composes_at_once(client: FlaskClient, content: WebContent) -> None:
    page = client.get("/").text
    assert "Compose 8 takes" in page
    assert 'action="/models/ready"' in page
    answer = client.post("/models/ready", data={"seeds": "0-7"})
    assert (answer.status_code, answer.location) == (303, "/generations/1")
    with content.database.reading() as session:
        generation = session.get_one(Generation, 1)
        assert (generation.model_hash, generation.takes_total) == (ready_model().content_hash, 8)
        assert session.get_one(Job, generation.job_id).state is JobState.QUEUED
    assert ready_model().name in client.get("/generations/1").text
    page = client.get("/").text
    assert "Compose 8 takes" not in page
    assert "Import the chorales" in page


def test_the_first_steps_stay_until_there_is_music_of_one_s_own(client: FlaskClient, content: WebContent) -> None:
    model = int(client.post("/models/ready").location.rpartition("/")[2])
    content.generation(model)
    page = client.get("/").text
    assert "First steps" in page
    assert "Generate 8 takes" not in page  # that is for a model of one's own
    content.generation(content.model())
    assert "First steps" not in client.get("/").text


def test_the_form_of_a_generation_goes_on_with_it(client: FlaskClient) -> None:
    assert 'action="/models/ready"' in client.get("/generations/new").text
    form = client.post("/models/ready", data={"form": "1"}).location
    assert form == "/generations/new?model_id=1"
    assert f"selected>{ready_model().name}" in client.get(form).text


def test_its_page_shows_its_card(client: FlaskClient, everything: Any) -> None:
    page = client.get(client.post("/models/ready").location).text
    assert "comes with Cadenza" in page
    assert re.findall(r"<h3>(\w+)</h3>", page.partition('id="card"')[2].partition("</div></div>")[0]) == [
        "Data",
        "Licence",
        "Figures",
        "Limits",
    ]
    assert "Model card" not in client.get(f"/models/{everything.model}").text
    listed = client.get("/models").text
    assert ready_model().name in listed


def test_no_markup_in_a_card_is_more_than_text() -> None:
    html = card_as_html(
        "# Top\n\n<script>alert(1)</script> [a](javascript:alert(1)) <b onclick=x>b</b>\n\n|a|\n|-|\n|1|\n"
    )
    assert "<script" not in html
    assert "<b " not in html
    assert 'href="javascript' not in html
    assert "<h2>Top</h2>" in html
    assert "<td>1</td>" in html
    assert card_as_html("") == ""
