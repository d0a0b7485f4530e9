"""Pages of evaluations: the form, the figures with their baselines, charts, what is left out and deleted."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from core.models.evaluations import Evaluation
from core.models.jobs import JobState
from core.models.trainings import Training
from tests.tools.web_content import WebContent


def test_an_evaluation_is_asked_for_on_the_model_s_page(client: FlaskClient, content: WebContent) -> None:
    dataset, model = content.dataset(), content.model()
    shown = client.get(f"/models/{model}").text
    assert "It was not measured yet" in shown
    sent = {"model_id": model, "dataset_id": dataset, "takes": "16", "notes": "50", "split": "validation"}
    answer = client.post("/evaluations", data=sent, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    page = client.get(answer.json["location"]).text
    assert "Waiting" in page
    with content.database.reading() as session:
        assert session.get_one(Evaluation, 1).settings["takes"] == 16
    assert "Evaluation of Small" in client.get(f"/models/{model}").text


@pytest.mark.parametrize(
    ("change", "field"),
    [({"takes": "2000"}, "takes"), ({"dataset_id": "99"}, "dataset_id"), ({"split": "test"}, "split")],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(
    client: FlaskClient, content: WebContent, change: dict[str, str], field: str
) -> None:
    sent = {"model_id": content.model(), "dataset_id": content.dataset(), **change}
    answer = client.post("/evaluations", data=sent, headers={"Accept": "application/json"})
    assert answer.status_code == 422
    assert field in answer.json["error"]["fields"]


def test_figures_stand_beside_real_music_and_random_notes(client: FlaskClient, everything: Any) -> None:
    page = client.get(f"/evaluations/{everything.evaluation}").text
    for words in ("Real music", "Random notes", "Hanging note", "Pitch-class entropy", "Nats per second", "2.1"):
        assert words in page
    assert "1 held-out piece of this dataset is among the pieces that the model was trained on" in " ".join(
        page.split()
    )
    assert "All figures" in client.get(f"/models/{everything.model}").text


def test_the_table_says_what_counts_as_hanging_in_evaluations_of_each_version(
    client: FlaskClient, content: WebContent, everything: Any
) -> None:
    address = f"/evaluations/{everything.evaluation}"
    assert "A note of 8 s or more, which is where the takes&#39; own limit ends" in client.get(address).text
    with content.database.transaction() as session:
        row = session.get_one(Evaluation, everything.evaluation)
        music = {name: value for name, value in row.results["music"].items() if name != "hanging_seconds"}
        row.results, row.version = {**row.results, "music": music}, 1
    assert "A note of 15 s or more. Measured before" in client.get(address).text
    with content.database.transaction() as session:
        row = session.get_one(Evaluation, everything.evaluation)
        row.results = {**row.results, "music": {**music, "hanging_seconds": None}}
    assert "Not counted: these takes were limited" in client.get(address).text


@pytest.mark.parametrize("name", ["polyphony", "pitch_entropy", "originality"])
def test_charts_lay_takes_real_music_and_random_notes_over_each_other(
    client: FlaskClient, everything: Any, name: str
) -> None:
    chart = client.get(f"/evaluations/{everything.evaluation}/{name}.json").json
    names = [series["name"] for series in chart["series"]]
    assert names[0] == "takes"
    assert any("real music" in each for each in names)
    assert all(len(series["x"]) == len(series["y"]) > 1 for series in chart["series"])
    both = client.get(f"/models/compare/{name}.json?ids={everything.model}").json
    assert both["series"][0]["name"] == f"Small ({everything.model})"


def test_unknown_charts_are_refused(client: FlaskClient, everything: Any) -> None:
    for address in (f"/evaluations/{everything.evaluation}/x.json", f"/models/compare/x.json?ids={everything.model}"):
        assert client.get(address).status_code == 422


def test_pages_say_where_validation_pieces_chose_the_checkpoint(
    client: FlaskClient, content: WebContent, everything: Any
) -> None:
    words = "were also used in training to choose the best checkpoint"
    stranger = content.model("Stranger", seed=1)
    content.training(everything.dataset, everything.model)
    measured_stranger = content.evaluation(stranger, everything.dataset)
    for address in ("/evaluations/{evaluation}", "/models/{model}", "/models/compare?ids={model}"):
        assert words in client.get(address.format(**vars(everything))).text, address
    for address in (f"/evaluations/{measured_stranger}", f"/models/{stranger}", f"/models/compare?ids={stranger}"):
        assert words not in client.get(address).text, address


def test_figures_of_earlier_definitions_say_so(client: FlaskClient, content: WebContent, everything: Any) -> None:
    pages = (f"/evaluations/{everything.evaluation}", f"/models/{everything.model}")
    for address in pages:
        assert "Measured by the definitions of version" not in client.get(address).text
    with content.database.transaction() as session:
        session.get_one(Evaluation, everything.evaluation).version = 2
    for address in pages:
        assert "Measured by the definitions of version 2" in client.get(address).text


def test_notes_that_takes_were_given_are_said_to_be_left_out(
    client: FlaskClient, content: WebContent, everything: Any
) -> None:
    address, words = f"/evaluations/{everything.evaluation}", "The takes begin with 25 notes of a primer"
    assert words not in client.get(address).text
    with content.database.transaction() as session:
        row = session.get_one(Evaluation, everything.evaluation)
        originality = {**row.results["originality"], "pieces_used": 5}
        row.results = {
            **row.results,
            "music": {**row.results["music"], "given_notes": 25},
            "originality": originality,
        }
    page = client.get(address).text
    assert words in page
    assert "one of the first 5 training pieces of" in page


def test_takes_made_to_measure_are_in_no_list(client: FlaskClient, content: WebContent) -> None:
    model = content.model()
    content.evaluation(model, content.dataset(), results=False)
    assert "takes to measure" not in client.get("/generations").text


def test_an_evaluation_is_deleted(client: FlaskClient, content: WebContent, everything: Any) -> None:
    running = content.evaluation(everything.model, everything.dataset, results=False)
    headers = {"Accept": "application/json"}
    assert client.post(f"/evaluations/{running}/delete", headers=headers).status_code == 409
    with content.database.reading() as session:
        job_id = session.get_one(Evaluation, running).job_id
    content.finish_job(job_id, JobState.CANCELLED)
    assert client.post(f"/evaluations/{running}/delete", headers=headers).status_code == 200
    assert client.get(f"/evaluations/{running}").status_code == 404


def test_a_training_is_evaluated_unless_the_switch_is_off(client: FlaskClient, content: WebContent) -> None:
    dataset = content.dataset()
    sent = {"family": "lstm", "preset": "Starter", "dataset_id": dataset, "evaluate.shown": "1"}
    client.post("/trainings", data=sent)
    client.post("/trainings", data={**sent, "evaluate": "true"})
    with content.database.reading() as session:
        assert [session.get_one(Training, number).evaluate for number in (1, 2)] == [False, True]
