"""Selects of rows: they stand on what was asked for, however old it is, and on nothing where that is gone."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.models.datasets import Dataset, Piece
from core.models.generations import Generation
from core.models.jobs import Job
from core.models.trainings import Model
from tests.tools.web_content import WebContent


@pytest.fixture(autouse=True)
def _short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows are what 200 are otherwise."""
    for name in (
        "generation_form._MODELS_OFFERED",
        "trainings._DATASETS_OFFERED",
        "models._DATASETS_OFFERED",
        "datasets._GENERATIONS_OFFERED",
    ):
        monkeypatch.setattr(f"webui.pages.{name}", 2)


def options(page: str, name: str) -> tuple[list[str], str]:
    """The values that a select has, and the one that a browser would send."""
    select = re.search(rf'<select[^>]*\bname="{name}".*?</select>', page, flags=re.DOTALL)
    assert select is not None, f"there is no select {name}"
    found = re.findall(r'<option value="([^"]*)"( selected)?', select[0])
    return [value for value, _ in found], next((value for value, chosen in found if chosen), found[0][0])


def is_required(page: str, name: str) -> bool:
    return re.search(rf'<select[^>]*\bname="{name}"[^>]* required\b', page) is not None


def sentence(page: str, name: str) -> str:
    """What is said beside a select, and read out with it."""
    found = re.search(rf'<div class="field-error" id="{name}-error">.*?</svg>(.*?)</div>', page, flags=re.DOTALL)
    assert (found is not None) == (f'aria-describedby="{name}-error"' in page)
    return "" if found is None else html.unescape(found[1]).strip()


def delete(content: WebContent, table: Any, number: int) -> None:
    with content.database.transaction() as session:
        session.delete(session.get_one(table, number))


def test_a_model_older_than_the_list_is_the_one_that_is_sent(client: FlaskClient, content: WebContent) -> None:
    models = [str(content.model(f"M{seed}", seed=seed)) for seed in range(4)]
    assert options(client.get("/generations/new").text, "model_id") == ([models[3], models[2]], models[3])
    page = client.get(f"/generations/new?model_id={models[0]}").text
    assert options(page, "model_id") == ([models[3], models[2], models[0]], models[0])
    assert sentence(page, "model_id") == ""
    # From the form alone, the list of models is the way to the others.
    assert "Of 4 models only the newest are listed" in page
    assert 'href="/models">the list of all' in page
    assert f'href="/generations/new?model_id={models[0]}"' in client.get("/models?search=M0").text
    refused = client.post("/generations", data={"model_id": models[1], "seeds": "9-1"}).text
    assert options(refused, "model_id")[1] == models[1], "another model took its place"


def test_all_rows_fit_and_nothing_is_said(client: FlaskClient, content: WebContent) -> None:
    content.model("Only")
    page = client.get("/generations/new?model_id=1").text
    assert "are listed" not in page
    assert is_required(page, "model_id")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("99", "No model has the number 99 (any more); choose another."),
        ("999999999", "No model has the number 999999999 (any more)"),
        ("x", "'x' is refused"),
        ("²", "'²' is refused"),
        ("-1", "'-1' is refused"),
        ("", "Choose one from the list."),
    ],
)
def test_a_model_that_is_not_there_is_replaced_by_none(
    client: FlaskClient, content: WebContent, asked: str, words: str
) -> None:
    content.model()
    page = client.get("/generations/new", query_string={"model_id": asked}).text
    assert options(page, "model_id") == (["", "1"], "")
    assert is_required(page, "model_id")
    assert words in sentence(page, "model_id")
    answer = client.post("/generations", data={"model_id": asked, "seeds": "1"})
    assert answer.status_code == 422
    assert options(answer.text, "model_id")[1] == ""
    with content.database.reading() as session:
        assert session.query(Job).count() == 0


def test_a_generation_whose_model_was_deleted_asks_for_another(client: FlaskClient, content: WebContent) -> None:
    gone = content.model("Old one")
    generation = content.generation(gone)
    content.model("New one", seed=1)
    delete(content, Model, gone)
    page = client.get(f"/generations/new?like={generation}").text
    assert options(page, "model_id")[1] == ""
    assert is_required(page, "model_id")
    assert sentence(page, "model_id") == "The model 'Old one' was deleted; choose another, whose takes will differ."


def test_a_model_that_was_uploaded_again_is_the_one_that_was_asked_for(
    client: FlaskClient, content: WebContent
) -> None:
    gone = content.model("Old one")
    generation = content.generation(gone)
    content.model("New one", seed=1)
    delete(content, Model, gone)
    take = f"/takes/{content.take_ids(generation)[0]}"
    assert "8 more like this" not in client.get(take).text
    again = content.model("Old one, again")
    content.model("Newest", seed=2)
    page = client.get(f"/generations/new?like={generation}").text
    assert options(page, "model_id")[1] == str(again)
    page = client.get(take).text
    assert "8 more like this" in page
    assert 'id="branch-note"' in page


def test_no_number_at_all_is_no_number_one(client: FlaskClient, content: WebContent) -> None:
    content.generation(content.model())
    content.training(content.dataset(), 1)
    for path in ("/generations/new?like=", "/trainings/new?like="):
        assert client.get(path).status_code == 404


def test_a_dataset_older_than_the_list_is_the_one_that_is_sent(client: FlaskClient, content: WebContent) -> None:
    datasets = [str(content.dataset(f"D{number}")) for number in range(4)]
    page = client.get(f"/trainings/new?dataset_id={datasets[0]}").text
    assert options(page, "dataset_id") == ([datasets[3], datasets[2], datasets[0]], datasets[0])
    # Another family keeps it.
    assert f"/trainings/new?family=gru&amp;dataset_id={datasets[0]}" in page
    assert "Of 4 datasets only the newest are listed" in page
    assert f'href="/trainings/new?dataset_id={datasets[0]}"' in client.get(f"/datasets/{datasets[0]}").text


def test_imports_under_way_do_not_take_the_places_of_datasets(client: FlaskClient, content: WebContent) -> None:
    ready = str(content.dataset())
    with content.database.transaction() as session:
        session.add_all([Dataset(name="Soon", source={"kind": "upload"}) for _ in range(3)])
    page = client.get("/trainings/new").text
    assert options(page, "dataset_id") == ([ready], ready)
    page = client.get("/trainings/new?dataset_id=4").text
    assert options(page, "dataset_id") == (["", ready], "")
    assert sentence(page, "dataset_id") == "No imported dataset has the number 4 (any more); choose another."


def test_a_training_whose_dataset_was_deleted_asks_for_another(client: FlaskClient, content: WebContent) -> None:
    gone = content.dataset("Old one")
    training = content.training(gone, content.model())
    content.dataset("New one")
    delete(content, Dataset, gone)
    page = client.get(f"/trainings/new?like={training}").text
    assert options(page, "dataset_id")[1] == ""
    assert is_required(page, "dataset_id")
    assert sentence(page, "dataset_id").startswith("The dataset of this training was deleted; import it again")
    # Nor does the choice of another family choose a dataset.
    other = re.search(r'href="(/trainings/new\?family=gru[^"]*)"', page)
    assert other is not None
    again = client.get(html.unescape(other[1])).text
    assert options(again, "dataset_id")[1] == ""
    form = {"family": "lstm", "dataset_id": "", "name": "Mine"}
    refused = client.post("/trainings", data=form)
    assert refused.status_code == 422
    assert options(refused.text, "dataset_id")[1] == ""


def test_takes_of_an_older_generation_become_a_dataset(client: FlaskClient, content: WebContent) -> None:
    model = content.model()
    generations = [str(content.generation(model, seeds="1")) for _ in range(4)]
    page = client.get(f"/datasets/new?source=takes&generation_id={generations[0]}").text
    assert options(page, "generation_id") == ([generations[3], generations[2], generations[0]], generations[0])
    assert "Of 4 generations only the newest are listed" in page
    delete(content, Generation, int(generations[0]))
    page = client.get(f"/datasets/new?source=takes&generation_id={generations[0]}").text
    assert options(page, "generation_id")[1] == ""
    assert "No generation with takes has the number" in sentence(page, "generation_id")
    # It is required where takes are the source, which only the script knows: other sources have to do without.
    assert not is_required(page, "generation_id")
    refused = client.post("/datasets", data={"source": "takes", "generation_id": ""})
    assert refused.status_code == 422
    assert options(refused.text, "generation_id")[1] == ""


def test_a_model_is_measured_on_its_own_dataset_or_on_one_that_was_chosen(
    client: FlaskClient, content: WebContent
) -> None:
    own, model = content.dataset("Own", content_hash="own"), content.model()
    content.training(own, model)
    others = [content.dataset(f"D{number}") for number in range(3)]
    page = client.get(f"/models/{model}").text
    assert options(page, "dataset_id") == ([str(others[2]), str(others[1]), str(own)], str(own))
    assert "Of 4 datasets only the newest are listed" in page
    # An older one is measured on from its page.
    address = f"/models/compare?dataset_id={others[0]}&amp;split=validation"
    assert address in client.get(f"/datasets/{others[0]}").text
    with content.database.transaction() as session:
        dataset = session.get_one(Dataset, own)
        dataset.statistics = {"splits": {"train": {"pieces": 5}}}
    page = client.get(f"/models/{model}").text
    assert options(page, "dataset_id") == (["", str(others[2]), str(others[1])], "")
    assert "has no held-out pieces; choose what to measure it on" in sentence(page, "dataset_id")
    delete(content, Dataset, own)
    page = client.get(f"/models/{model}").text
    assert options(page, "dataset_id")[1] == ""
    assert "is not here; choose what to measure it on" in sentence(page, "dataset_id")


def test_a_piece_that_is_gone_is_said_to_be_and_not_sent(client: FlaskClient, content: WebContent) -> None:
    content.dataset()
    model = content.model()
    with content.database.reading() as session:
        kept, gone = [str(number) for (number,) in session.query(Piece.id).order_by(Piece.id).limit(2)]
    assert "Piece 0 (piece" in client.get(f"/generations/new?piece_id={kept}").text
    delete(content, Piece, int(gone))
    for asked in (gone, "²", "x"):
        page = client.get("/generations/new", query_string={"piece_id": asked})
        assert page.status_code == 200
        assert 'name="piece_id" value=""' in page.text
        assert f"There is no piece {asked} (any more); search for another." in html.unescape(page.text)
    form = {"model_id": str(model), "seeds": "9-1", "primer_kind": "none", "piece_id": gone}
    answer = client.post("/generations", data=form)
    assert answer.status_code == 422
    assert "There is no piece" not in answer.text


def test_the_search_for_a_piece_says_that_there_are_more(
    client: FlaskClient, content: WebContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    content.dataset(pieces=5)
    monkeypatch.setattr("webui.pages.pieces._FOUND_SHOWN", 4)
    found = client.get("/pieces/search.json?search=piece").json
    assert (len(found["pieces"]), found["more"]) == (4, True)
    monkeypatch.setattr("webui.pages.pieces._FOUND_SHOWN", 5)
    found = client.get("/pieces/search.json?search=piece").json
    assert (len(found["pieces"]), found["more"]) == (5, False)
