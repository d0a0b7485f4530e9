"""Pages of what takes share with training pieces: marks, lists, both passages, what is not known."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask.testing import FlaskClient

from core.evaluation.originality import VERSION
from core.evaluation.unrelated import Unrelated
from core.models.datasets import Dataset
from core.models.evaluations import SharedPassage
from core.models.generations import Generation
from core.models.trainings import Model
from core.music.writing import write_midi
from core.services.originality import index_keys
from core.services.primers import primer_key
from tests.tools.web_content import WebContent, some_notes


def test_copies_of_a_generation_are_marked_listed_and_looked_for(
    client: FlaskClient, content: WebContent, everything: Any
) -> None:
    address = f"/generations/{everything.generation}"
    marks = [f'id="take-{take}"' for take in everything.takes]
    whole, copies = client.get(address).text, client.get(f"{address}?show=copies").text
    assert whole.count("Copy: 40 notes") == 1
    assert [mark in copies for mark in marks] == [True, *[False] * (len(marks) - 1)]
    assert "1 take of 2 that were held against training pieces shares more" in copies
    assert "6 takes not looked at yet" in copies
    assert "Look for copies" in copies
    asked = {
        "model_id": everything.model,
        "dataset_id": everything.dataset,
        "generation_id": everything.generation,
        "split": "validation",
    }
    assert all(f'name="{name}" value="{value}"' in copies for name, value in asked.items())
    assert client.post("/evaluations", data=asked, headers={"Accept": "application/json"}).status_code == 200

    other = content.generation(everything.model, seeds="20-23")
    unknown = client.get(f"/generations/{other}?show=copies").text
    assert "Nobody has looked for copies yet" in unknown
    assert "Look for copies" in unknown
    with content.database.transaction() as session:
        for take in content.take_ids(other):
            session.add(
                SharedPassage(
                    take_id=take, dataset_id=everything.dataset, notes=9, threshold=30, flagged=False, version=VERSION
                )
            )
    none = client.get(f"/generations/{other}?show=copies").text
    assert "Of 4 takes that were held against training pieces, none shares more" in none
    assert "Look for copies" not in none
    made_here = content.generation(content.model("Stranger", seed=5))
    needs = client.get(f"/generations/{made_here}?show=copies").text
    assert "It needs the model, takes that are finished" in needs
    assert "<form" not in needs.partition('id="no-takes"')[2].partition("</div>")[0]


def test_a_flagged_take_shows_both_passages_and_one_that_is_not_known_can_be_searched(
    client: FlaskClient, content: WebContent, everything: Any
) -> None:
    copied, original, unknown = (client.get(f"/takes/{take}").text for take in everything.takes[:3])
    assert "It shares 40 notes" in copied
    assert "2 semitones lower" in copied
    assert copied.count('class="passage"') == 2
    assert "not even nine notes" in original
    assert "Search for copies" in unknown
    answer = client.post(f"/takes/{everything.takes[2]}/search", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert "being searched" in answer.json["message"]
    assert "A take of its length is flagged from 25 shared notes on.</p>" in copied
    with content.database.reading() as session:
        words_key = index_keys(session.get_one(Dataset, everything.dataset).corpus_key)[1]
    content.store.write(words_key, json.dumps(Unrelated((9, 12, 25, 30), 0, 4).as_json()).encode())
    known = client.get(f"/takes/{everything.takes[0]}").text
    # The excerpts have 200 notes and are counted by the threshold for 200, whatever the take's own.
    assert "none of 4 excerpts of unrelated real pieces (4 held out) shares 31 or more in 200 notes" in known


def test_a_take_held_against_other_music_than_its_model_s_is_not_called_original(
    client: FlaskClient, content: WebContent
) -> None:
    own, model = content.dataset("Own music"), content.model()
    other = content.dataset("Other music", content_hash="cd" * 32)
    content.training(own, model)
    generation = content.generation(model)
    content.evaluation(model, other, generation)
    first, second = content.take_ids(generation)[:2]
    page = " ".join(client.get(f"/takes/{second}").text.split())
    assert "with the training pieces of Other music, on which the model was not trained." in page
    assert "No copy" not in page
    assert "Whether it copies a piece of Own music, on which the model was trained, has not been looked up" in page
    assert "Search for copies" in page
    flagged = " ".join(client.get(f"/takes/{first}").text.split())
    assert "The piece is of Other music, on which the model was not trained." in flagged
    assert "Copies" in flagged
    with content.database.transaction() as session:
        stored = session.get_one(SharedPassage, (first, other))
        session.add(
            SharedPassage(take_id=first, dataset_id=own, notes=60, threshold=99, flagged=False, version=VERSION)
        )
        session.add(SharedPassage(take_id=second, dataset_id=own, notes=0, threshold=25, flagged=False, version=1))
    items = client.get(f"/api/v1/takes/{first}/originality").json["items"]
    assert [(item["dataset_name"], item["flagged"], item["trained_on"], item["current"]) for item in items] == [
        ("Other music", stored.flagged, False, True),
        ("Own music", False, True, True),
    ]
    both = client.get(f"/takes/{first}").text
    assert both.index("Other music") < both.index("Own music, on which the model was trained")
    assert "No copy" not in both
    older = client.get(f"/takes/{second}").text
    assert "Search again" in older
    assert "No copy" not in older
    strange = content.generation(content.model("Uploaded", seed=1))
    content.evaluation(content.model("Uploaded", seed=1), other, strange)
    unknown = " ".join(client.get(f"/takes/{content.take_ids(strange)[1]}").text.split())
    assert "Other music (what the model was trained on is not known here)" in unknown
    assert "No copy" not in unknown
    answer = client.get(f"/api/v1/takes/{content.take_ids(strange)[1]}/originality").json
    assert answer["items"][0]["trained_on"] is None


def test_a_take_held_against_its_model_s_music_is_called_original_where_it_is(
    client: FlaskClient, content: WebContent
) -> None:
    dataset, model = content.dataset(), content.model()
    content.training(dataset, model)
    generation = content.generation(model)
    content.evaluation(model, dataset, generation)
    page = client.get(f"/takes/{content.take_ids(generation)[1]}").text
    assert "No copy" in page
    assert "Search" not in page.partition('id="originality"')[2].partition("</section>")[0]


def primed(content: WebContent, generation: int, notes: int = 7) -> None:
    """Let a generation's takes begin with the first notes of an uploaded file."""
    data = write_midi(some_notes(900))
    digest = hashlib.sha256(data).hexdigest()
    content.store.write(primer_key(digest), data)
    with content.database.transaction() as session:
        row = session.get_one(Generation, generation)
        row.settings = {**row.settings, "join_primer": True, "primer": {"sha256": digest, "notes": notes}}
        row.primer_key = primer_key(digest)


def test_what_a_take_was_given_is_said(client: FlaskClient, content: WebContent, everything: Any) -> None:
    take = everything.takes[0]
    words = "The first 7 notes were given to it as a primer, so only what follows is searched for copies."
    assert "given to it" not in client.get(f"/takes/{take}").text
    assert client.get(f"/api/v1/takes/{take}/originality").json["given_notes"] == 0
    primed(content, everything.generation)
    page, answer = client.get(f"/takes/{take}").text, client.get(f"/api/v1/takes/{take}/originality").json
    assert words in page
    assert answer["given_notes"] == 7
    # Both passages are shown at the whole take's and the piece's times.
    for shown in ("It shares 40 notes", "This take from 0:01 to 0:06", "from_ms=1000&amp;to_ms=6000"):
        assert shown in page
    with content.database.transaction() as session:
        key = session.get_one(Generation, everything.generation).primer_key
    content.store.delete(key)
    assert words in client.get(f"/takes/{take}").text


def test_of_a_model_that_read_a_part_of_its_dataset_the_page_says_so(
    client: FlaskClient, content: WebContent, everything: Any
) -> None:
    with content.database.transaction() as session:
        model, dataset = session.get_one(Model, everything.model), session.get_one(Dataset, everything.dataset)
        model.settings = {**model.settings, "files": 2}
        dataset.statistics = {**dataset.statistics, "splits": {"train": {"pieces": 6}}}
    address = f"/takes/{everything.takes[0]}"
    page = client.get(address).text
    assert "on the first 2 training pieces of which the model was trained" in page
    item = client.get(f"/api/v1{address}/originality").json["items"][0]
    assert (item["pieces_used"], item["trained_on"]) == (2, True)
    none = " ".join(client.get(f"/takes/{everything.takes[1]}").text.split())
    assert "with the training pieces used of" in none
    with content.database.reading() as session:
        key = index_keys(session.get_one(Dataset, everything.dataset).corpus_key, 2)[1]
    content.store.write(key, json.dumps(Unrelated((9, 12, 25, 30), 0, 4).as_json()).encode())
    assert "none of 4 excerpts of unrelated real pieces" in client.get(address).text


def test_another_import_of_the_same_music_may_have_another_order(
    client: FlaskClient, content: WebContent, everything: Any
) -> None:
    """So which of its pieces are the first two tells nothing, and all of them are searched."""
    with content.database.transaction() as session:
        model, dataset = session.get_one(Model, everything.model), session.get_one(Dataset, everything.dataset)
        model.settings, model.dataset_id = {**model.settings, "files": 2}, None
        model.dataset_hash = dataset.content_hash
        dataset.statistics = {**dataset.statistics, "splits": {"train": {"pieces": 6}}}
    address = f"/takes/{everything.takes[0]}"
    item = client.get(f"/api/v1{address}/originality").json["items"][0]
    assert (item["pieces_used"], item["trained_on"]) == (0, True)
    again = content.dataset("Imported again", content_hash=dataset.content_hash)
    item = client.get(f"/api/v1{address}/originality").json["items"][0]
    assert (item["dataset_id"], item["trained_on"]) == (everything.dataset, True)
    assert again != everything.dataset
    page = " ".join(client.get(address).text.split())
    assert ", on which the model was trained." in page
    assert "has not been looked up" not in page


def test_a_passage_begins_at_0_and_has_only_its_own_notes(client: FlaskClient, everything: Any) -> None:
    whole = client.get(f"/takes/{everything.takes[0]}/notes.json").json
    part = client.get(f"/takes/{everything.takes[0]}/passage.json?from_ms=1000&to_ms=6000").json
    expected = [start for start in whole["start_ms"] if 950 <= start <= 6050]
    assert part["start_ms"] == [start - expected[0] for start in expected]
    piece = client.get(f"/pieces/{everything.piece}/passage.json?from_ms=2000&to_ms=7000").json
    assert piece["start_ms"][0] == 0
    assert len(piece["start_ms"]) > 3
