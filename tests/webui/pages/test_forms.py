"""Forms: what they send becomes a job; what they refuse comes back with a sentence beside its field."""

from __future__ import annotations

import html
import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.models.datasets import Dataset
from core.models.generations import Generation
from core.models.jobs import Job
from core.models.trainings import Training
from core.music.writing import write_midi
from core.training.settings import FAMILIES, LstmSettings
from tests.tools.web_content import WebContent, some_notes
from webui.forms import as_text, form_fields


def refusals(page: str) -> dict[str, str]:
    """Field to sentence, as a reader of the page sees them."""
    found = re.findall(r'<div class="field-error" id="([\w.]+)-error">.*?</svg>(.*?)</div>', page, flags=re.DOTALL)
    return {name: html.unescape(text).strip() for name, text in found}


def test_a_training_is_queued_with_what_the_form_says(client: FlaskClient, content: WebContent) -> None:
    dataset = content.dataset()
    form = {"family": "lstm", "preset": "Starter", "dataset_id": str(dataset), "units": "128", "name": "Mine"}
    answer = client.post("/trainings", data=form)
    assert answer.status_code == 303
    with content.database.reading() as session:
        training = session.query(Training).one()
        assert training.name == "Mine"
        assert training.settings == LstmSettings.parse({**LstmSettings.presets["Starter"], "units": 128}).model_dump()
        assert training.job is not None
    page = client.get(answer.location).text
    assert "The training Mine is queued." in page


def test_a_switch_that_is_on_by_default_can_be_turned_off(client: FlaskClient, content: WebContent) -> None:
    form = {"family": "lstm", "dataset_id": str(content.dataset()), "sounding.shown": "1", "units": "5"}
    switch = re.compile(r'<input[^>]*id="field-sounding"[^>]*>')
    assert [" checked" in found for found in switch.findall(client.get("/trainings/new?family=lstm").text)] == [True]
    refused = client.post("/trainings", data=form).text
    assert [" checked" in found for found in switch.findall(refused)] == [False], "what was chosen is lost"
    assert client.post("/trainings", data={**form, "units": "64"}).status_code == 303
    with content.database.reading() as session:
        assert session.query(Training).one().settings["sounding"] is False


@pytest.mark.parametrize("family", FAMILIES)
def test_the_form_as_it_comes_is_accepted(client: FlaskClient, content: WebContent, family: str) -> None:
    content.dataset()
    page = client.get(f"/trainings/new?family={family}").text
    form = dict(re.findall(r'<input[^>]*\bname="([\w.]+)"[^>]*\bvalue="([^"]*)"', page))
    form["dataset_id"] = "1"
    assert client.post("/trainings", data=form).status_code == 303


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"units": "5"}, "units", "'5' is refused; allowed is 8 to 4096."),
        ({"units": "many"}, "units", "'many' is refused; a whole number is needed"),
        ({"dropout": "0.95"}, "dropout", "below 0.9"),
        ({"dataset_id": "99"}, "dataset_id", "There is no dataset 99"),
        ({"dataset_id": "x"}, "dataset_id", "'x' is refused"),
        ({"preset": "Huge"}, "preset", "'Huge' is unknown; allowed are Starter"),
        ({"name": "x" * 201}, "name", "201 characters are refused"),
    ],
)
def test_a_refused_training_keeps_the_form(
    client: FlaskClient, content: WebContent, changed: dict[str, str], field: str, words: str
) -> None:
    content.dataset()
    form = {"family": "lstm", "preset": "", "dataset_id": "1", "layers": "3", "name": "Mine", **changed}
    answer = client.post("/trainings", data=form)
    assert answer.status_code == 422
    assert words.lower() in refusals(answer.text)[field].lower()
    assert re.search(r'name="layers" value="3"', answer.text), "what was typed is lost"
    with content.database.reading() as session:
        assert session.query(Job).count() == 0


def test_a_generation_is_queued_with_what_the_form_says(client: FlaskClient, content: WebContent) -> None:
    model = content.model()
    form = {
        "model_id": str(model),
        "seeds": "0-9",
        "temperatures": "0.8, 1.2",
        "length": "45",
        "length_unit": "seconds",
        "program": "40",
        "may_end_early.shown": "1",
        "may_end_early": "true",
        "primer_kind": "default",
        "piece_id": "",
        "notes": "25",
    }
    answer = client.post("/generations", data=form)
    assert answer.status_code == 303
    with content.database.reading() as session:
        generation = session.query(Generation).one()
        assert generation.takes_total == 20
        values = generation.settings
        assert (values["temperatures"], values["length_unit"], values["program"]) == ([0.8, 1.2], "seconds", 40)
        assert values["may_end_early"] is True
    page = client.get(answer.location).text
    assert "20 takes queued." in page
    assert "Violin" in page


def test_a_primer_comes_from_a_piece_or_from_a_file(client: FlaskClient, content: WebContent) -> None:
    content.dataset()
    form: dict[str, Any] = {"model_id": str(content.model()), "seeds": "1", "notes": "30"}
    assert client.post("/generations", data={**form, "primer_kind": "piece", "piece_id": "2"}).status_code == 303
    file = (io.BytesIO(write_midi(some_notes(9))), "my tune.mid")
    assert client.post("/generations", data={**form, "primer_kind": "upload", "primer_file": file}).status_code == 303
    with content.database.reading() as session:
        titles = [each.primer_title for each in session.query(Generation).order_by(Generation.id)]
    assert titles == ["Piece 1", "my tune.mid"]


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"seeds": "9-1"}, "seeds", "'9-1' runs backwards; write '1-9'."),
        ({"seeds": "0-100000"}, "seeds", "at most 100,000"),
        ({"temperatures": "0"}, "temperatures", "allowed is 0.05 to 5"),
        ({"length": "0"}, "length", "allowed is 1 to 20000"),
        ({"program": "128"}, "program", "allowed is 0 to 127"),
        ({"model_id": "99"}, "model_id", "There is no model 99"),
        ({"model_id": ""}, "model_id", "choose a model"),
        ({"primer_kind": "piece", "piece_id": ""}, "piece_id", "choose a piece"),
        ({"primer_kind": "piece", "piece_id": "1", "notes": "0"}, "notes", "allowed is 1 to 2000"),
        ({"primer_kind": "piece", "piece_id": "1", "notes": "61"}, "notes", "has 60 notes"),
        ({"primer_kind": "upload"}, "upload_id", "choose a MIDI file"),
        ({"primer_kind": "odd"}, "kind", "'odd' is refused"),
    ],
)
def test_a_refused_generation_keeps_the_form(
    client: FlaskClient, content: WebContent, changed: dict[str, str], field: str, words: str
) -> None:
    content.dataset()
    form = {"model_id": str(content.model()), "seeds": "3", "tempo_factor": "2", **changed}
    answer = client.post("/generations", data=form)
    assert answer.status_code == 422
    assert words.lower() in refusals(answer.text)[field].lower()
    assert re.search(r'name="tempo_factor" value="2"', answer.text), "what was typed is lost"
    with content.database.reading() as session:
        assert session.query(Job).count() == 0


def test_files_are_sent_ahead_or_with_the_form(client: FlaskClient, content: WebContent) -> None:
    def file(seed: int, name: str) -> tuple[io.BytesIO, str]:
        return io.BytesIO(write_midi(some_notes(seed))), name

    ahead = client.post("/uploads", data={"files": [file(1, "a.mid"), file(2, "b.mid")]})
    numbers = [upload["id"] for upload in ahead.json["uploads"]]
    assert [upload["file_name"] for upload in ahead.json["uploads"]] == ["a.mid", "b.mid"]
    form = {"source": "upload", "uploads": ",".join(map(str, numbers)), "files": [file(3, "c.mid")], "name": "Three"}
    # The other sections of the form are folded away, not empty; what they hold must not matter.
    answer = client.post("/datasets", data={**form, "address": "nonsense", "generation_id": "77"})
    assert answer.status_code == 303
    with content.database.reading() as session:
        dataset = session.query(Dataset).one()
        assert dataset.name == "Three"
        assert dataset.source["settings"]["uploads"] == [*numbers, numbers[-1] + 1]
    assert "The import of Three has begun." in client.get(answer.location).text


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"source": "upload"}, "uploads", "Nothing was uploaded"),
        ({"source": "upload", "uploads": "77"}, "uploads", "There is no uploaded file 77"),
        ({"source": "odd"}, "source", "'odd' is refused"),
        ({"source": "maestro", "address": "ftp://x"}, "address", "must begin with http"),
        ({"source": "maestro", "sha256": "12"}, "sha256", "64 hexadecimal digits"),
        ({"source": "takes", "generation_id": "9"}, "generation_id", "There is no generation 9"),
        ({"source": "starter", "files_limit": "-1"}, "files_limit", "allowed is 0 to 1000000"),
    ],
)
def test_a_refused_import_keeps_the_form(
    client: FlaskClient, form: dict[str, str], field: str, words: str, content: WebContent
) -> None:
    content.generation(content.model(), seeds="1")
    answer = client.post("/datasets", data={"name": "Kept", **form})
    assert answer.status_code == 422
    assert words.lower() in refusals(answer.text)[field].lower()
    assert 'value="Kept"' in answer.text


def test_scripts_learn_what_is_wrong_as_json(client: FlaskClient, content: WebContent) -> None:
    headers = {"Accept": "application/json"}
    answer = client.post("/generations", data={"model_id": str(content.model()), "seeds": "9-1"}, headers=headers)
    assert answer.status_code == 422
    assert "runs backwards" in answer.json["error"]["fields"]["seeds"]


def test_the_half_filled_forms_are_told_what_they_would_do(client: FlaskClient, content: WebContent) -> None:
    dataset, model = content.dataset(), content.model()
    plan = client.get(f"/generations/plan.json?model_id={model}&seeds=0-9&temperatures=1,2").json
    assert plan["words"] == "This makes 20 takes."
    for nobody in ("9" * 20, "9" * 5_000):
        assert client.get(f"/generations/plan.json?model_id={nobody}&seeds=0").json["words"] == "This makes 1 take."
    assert "runs backwards" in client.get("/generations/plan.json?seeds=9-1").json["refused"]
    assert "too many" in client.get("/generations/plan.json?seeds=0-99998&temperatures=1,2").json["refused"]
    good = client.get(f"/trainings/estimate.json?family=lstm&dataset_id={dataset}&steps=10").json
    assert good["words"].startswith("about ")
    assert "4 training pieces" in good["more"]
    assert "time limit" not in good["more"]
    assert not good["advice"]
    for nothing in ("family=lstm", "family=lstm&dataset_id="):
        refused = client.get(f"/trainings/estimate.json?{nothing}").json["refused"]
        assert refused == "Choose a dataset to learn how long it takes."
    query = f"family=lstm&dataset_id={dataset}&steps=900000&minutes=30"
    limited = client.get(f"/trainings/estimate.json?{query}").json
    assert limited["words"] == "about 30 min"
    assert re.search(r"About [\d,]+0 of the 900,000 steps fit into the time limit\.", limited["more"])
    wide = client.get(f"/trainings/estimate.json?family=lstm&dataset_id={dataset}&window=4096").json
    assert "the longest has 200" in wide["advice"]
    none = client.get(f"/trainings/estimate.json?family=tutorial&dataset_id={dataset}&window=60").json
    assert "set 59 or less" in none["refused"]
    client.post("/trainings", data={"family": "lstm", "dataset_id": dataset, "window": "4096"})
    assert "the longest has 200" in client.get("/trainings/1").text
    refused = client.post("/trainings", data={"family": "tutorial", "dataset_id": dataset, "window": "60"})
    assert refused.status_code == 422
    assert "set 59 or less" in refused.text
    assert (
        "allowed is" in client.get(f"/trainings/estimate.json?family=lstm&dataset_id={dataset}&units=1").json["refused"]
    )


def test_every_setting_of_a_family_has_a_field(client: FlaskClient, content: WebContent) -> None:
    content.dataset()
    for family, cls in FAMILIES.items():
        page = client.get(f"/trainings/new?family={family}").text
        for field in form_fields(cls):
            assert f'name="{field.name}"' in page
            assert html.escape(field.label) in page


@pytest.mark.parametrize(
    ("value", "text"), [(0.004, "0.004"), ((0.8, 1.0), "0.8, 1"), (True, "true"), (None, ""), (12, "12"), ("x", "x")]
)
def test_stored_values_are_shown_as_they_are_typed(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_what_is_sent_again_is_what_was_sent(client: FlaskClient, content: WebContent) -> None:
    dataset, model = content.dataset(), content.model()
    number, training = content.generation(model), content.training(dataset, model)
    with content.database.transaction() as session:
        generation = session.get_one(Generation, number)
        generation.settings = {**generation.settings, "temperatures": [0.8333333]}
    assert 'value="0.8333333"' in client.get(f"/generations/new?like={number}").text
    for evaluate in (True, False):
        with content.database.transaction() as session:
            session.get_one(Training, training).evaluate = evaluate
        form = client.get(f"/trainings/new?like={training}").text
        switch = form[form.index('id="evaluate-field"') :]
        assert (" checked" in switch[: switch.index(">")]) == evaluate
