"""The list of models to compare: any model can be found in it, and nothing that was chosen is lost on the way."""

from __future__ import annotations

import html
import re
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from tests.tools.web_content import WebContent


@pytest.fixture
def models(content: WebContent, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Twelve of them, of which a page lists three."""
    monkeypatch.setattr("webui.pages.comparing._OFFERED", 3)
    return [content.model(f"Model {'ABCDEFGHIJKL'[seed]}", seed=seed) for seed in range(12)]


def boxes(page: str) -> list[tuple[int, bool]]:
    """Each model of the list, and whether it is ticked."""
    found = re.findall(r'<input[^>]*type="checkbox" name="ids" value="(\d+)"[^>]*>', page)
    ticked = re.findall(r'<input[^>]*type="checkbox" name="ids" value="(\d+)"[^>]* checked>', page)
    return [(int(number), number in ticked) for number in found]


def submit(client: FlaskClient, page: str, tick: list[int] | None = None, **button: str) -> str:
    """Send the form as a browser without scripts does, with some more boxes ticked."""
    form = re.search(r"<form[^>]*data-choice.*?</form>", page, flags=re.DOTALL)
    assert form is not None
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[0])
    chosen = [number for number, ticked in boxes(page) if ticked] + (tick or [])
    query = [*hidden, *(("ids", str(number)) for number in chosen), *button.items()]
    return client.get(f"/models/compare?{urlencode(query)}").text


def alert(page: str) -> str:
    found = re.search(r'role="alert">.*?<span>(.*?)</span>', page, flags=re.DOTALL)
    return "" if found is None else html.unescape(found[1])


def test_what_is_compared_stays_in_the_list_however_old_it_is(client: FlaskClient, models: list[int]) -> None:
    page = client.get(f"/models/compare?ids={models[1]},{models[0]}").text
    assert page.count("Not evaluated") == 2
    link = re.search(r'href="([^"]*)"[^>]*>(?:(?!</a>).)*Choose models', page)
    assert link is not None
    page = client.get(html.unescape(link[1])).text
    assert boxes(page) == [
        *((number, True) for number in (models[1], models[0])),
        *((number, False) for number in (models[11], models[10], models[9])),
    ]
    assert "Not evaluated" not in page
    assert submit(client, page).count("Not evaluated") == 2


def test_any_model_is_found_and_what_was_chosen_stays(client: FlaskClient, models: list[int]) -> None:
    page = client.get("/models/compare").text
    assert boxes(page) == [(number, False) for number in models[:-4:-1]]
    page = submit(client, page, tick=[models[10]], choose="1", q="model c")
    assert boxes(page) == [(models[10], True), (models[2], False)]
    page = submit(client, page, tick=[models[2]], choose="1", q="no such name")
    assert boxes(page) == [(models[10], True), (models[2], True)]
    assert "No other model has “no such name” in its name." in page
    # The chosen ones are not listed twice where they are found as well.
    page = submit(client, page, choose="1", q="Model")
    assert [number for number, _ in boxes(page)] == [models[10], models[2], models[11], models[9]]
    compared = submit(client, page, q="Model")
    assert [name in compared for name in ("Model K</a>", "Model C</a>", "Model L</a>")] == [True, True, False]


def test_names_that_many_have_are_paged_through(client: FlaskClient, models: list[int]) -> None:
    page = submit(client, client.get("/models/compare").text, tick=[models[11]], choose="4")
    assert boxes(page) == [(models[11], True), *((number, False) for number in (models[2], models[1], models[0]))]
    assert "Page 4 of 4, 12 models" in page
    assert 'name="choose" value="3"' in page
    assert 'name="choose" value="5"' not in page
    beyond = submit(client, page, choose="9")
    assert boxes(beyond) == [(models[11], True)]
    assert "There is no other model on this page." in beyond


def test_nine_come_back_ticked_with_a_sentence(client: FlaskClient, models: list[int]) -> None:
    nine = models[:9]
    answer = client.get(f"/models/compare?{urlencode([('ids', number) for number in nine])}")
    assert answer.status_code == 422
    assert alert(answer.text) == "9 models are refused; at most 8 can be compared, so leave out 1."
    assert boxes(answer.text)[:9] == [(number, True) for number in nine]
    told = client.get("/models/compare?ids=1,2,3,4,5,6,7,8,9", headers={"Accept": "application/json"})
    assert told.status_code == 422
    assert "at most 8" in told.json["error"]["fields"]["ids"]
    assert client.get(f"/models/compare?ids={','.join(map(str, models[:8] * 2))}").status_code == 200


def test_a_model_that_is_gone_leaves_the_others_chosen(client: FlaskClient, models: list[int]) -> None:
    answer = client.get(f"/models/compare?ids={models[0]},999,{models[1]}")
    assert answer.status_code == 422
    assert "There is no model 999 (any more)" in alert(answer.text)
    assert boxes(answer.text)[:2] == [(models[0], True), (models[1], True)]
    assert submit(client, answer.text).count("Not evaluated") == 2
    for garbage in ("x", "1,²", "99999999999", "-1"):
        answer = client.get("/models/compare", query_string={"ids": garbage})
        assert answer.status_code == 422
        assert "is refused; allowed are numbers of models" in alert(answer.text)
    assert client.get("/models/compare?ids=1&choose=x").status_code == 422


def test_another_choice_stays_on_the_dataset_that_was_asked_for(
    client: FlaskClient, content: WebContent, models: list[int]
) -> None:
    here, there = content.dataset("Here"), content.dataset("There")
    content.evaluation(models[0], here)
    page = client.get(f"/models/compare?dataset_id={there}&split=validation").text
    assert "On the validation pieces of" in page
    compared = submit(client, page, tick=[models[0]])
    assert "Not evaluated on There yet" in compared
    link = re.search(r'href="([^"]*choose=1[^"]*)"', compared)
    assert link is not None
    again = submit(client, client.get(html.unescape(link[1])).text, tick=[models[1]])
    assert again.count("Not evaluated on There yet") == 2
    refused = client.get(f"/models/compare?ids={models[0]}&dataset_id=999")
    assert refused.status_code == 422
    assert "There is no dataset 999" in alert(refused.text)
    # Without it, the same choice is good again.
    assert "pieces of <a" in submit(client, refused.text)


def test_without_a_model_there_is_a_way_to_one(client: FlaskClient) -> None:
    page = client.get("/models/compare").text
    assert "There is no model to compare yet" in page
    assert 'href="/trainings/new"' in page
