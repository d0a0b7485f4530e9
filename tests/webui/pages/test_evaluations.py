"""Pages of evaluations: the form, the figures with their baselines, charts, models side by side, shared passages."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from core.evaluation.originality import VERSION
from core.evaluation.results import VERSION as RESULTS_VERSION
from core.evaluation.unrelated import Unrelated
from core.models.datasets import Dataset
from core.models.evaluations import Evaluation, SharedPassage
from core.models.jobs import JobState
from core.models.trainings import Training, TrainingPoint
from core.services.originality import index_keys
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


def test_models_are_compared_on_the_dataset_that_most_were_measured_on(
    client: FlaskClient, content: WebContent, everything: Any
) -> None:
    other, alone = content.model("Other", seed=1), content.model("Alone", seed=2)
    content.evaluation(other, everything.dataset)
    elsewhere = content.dataset("Elsewhere")
    content.evaluation(other, elsewhere)
    ids = f"ids={everything.model}&ids={other}&ids={alone}"
    page = client.get(f"/models/compare?{ids}").text
    assert page.count("Not evaluated") == 1
    assert "Elsewhere (validation)" in page
    there = client.get(f"/models/compare?{ids}&dataset_id={elsewhere}").text
    assert there.count("Not evaluated") == 2
    answer = client.get(f"/models/compare?ids={everything.model},999")
    assert answer.status_code == 422
    assert client.get("/models/compare?ids=1,2,3,4,5,6,7,8,9").status_code == 422


def test_the_dataset_that_was_asked_for_is_never_replaced_by_another(
    client: FlaskClient, content: WebContent, everything: Any
) -> None:
    elsewhere = content.dataset("Elsewhere")
    page = client.get(f"/models/compare?ids={everything.model}&dataset_id={elsewhere}").text
    assert "Not evaluated on Elsewhere yet" in page
    assert "2.100" not in page
    test = client.get(f"/models/compare?ids={everything.model}&dataset_id={everything.dataset}&split=test").text
    assert "2.100" not in test
    assert "2.100" in client.get(f"/models/compare?ids={everything.model}&dataset_id={everything.dataset}").text
    for query in ("dataset_id=999", "split=train"):
        assert client.get(f"/models/compare?ids={everything.model}&{query}").status_code == 422


def test_evaluations_that_were_not_measured_alike_are_compared_with_a_note(
    client: FlaskClient, content: WebContent, everything: Any
) -> None:
    other = content.model("Other", seed=1)
    second = content.evaluation(other, everything.dataset)
    address = f"/models/compare?ids={everything.model},{other}"
    with content.database.transaction() as session:
        row = session.get_one(Evaluation, second)
        # Both as evaluations make them, but for what is changed below.
        generation = session.get_one(Evaluation, everything.evaluation).generation
        row.generation_id = generation.id if generation is not None else None
    assert "not measured alike" not in client.get(address).text
    with content.database.transaction() as session:
        row = session.get_one(Evaluation, second)
        row.results = {**row.results, "music": {**row.results["music"], "takes": 64}}
        row.version = 1
    page = client.get(address).text
    assert "not measured alike" in page
    assert "Takes: 8 of Small, 64 of Other." in page
    assert f"version: {RESULTS_VERSION} of Small, 1 of Other." in page


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


def test_loss_curves_of_trainings_are_laid_over_each_other(client: FlaskClient, content: WebContent) -> None:
    dataset = content.dataset()
    models = [content.model("A"), content.model("B", seed=1)]
    for model in models:
        training = content.training(dataset, model)
        with content.database.transaction() as session:
            session.get_one(Training, training)
            for step in (400, 500):
                at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=step)
                values = {"held_out_nats_per_event": 3 - step / 1000}
                # The second one is of an earlier version, which stored only the time of day.
                values |= {"seconds": step * 0.3} if model == models[0] else {}
                session.add(TrainingPoint(training_id=training, step=step, values=values, at=at))
    address = f"/models/compare/loss.json?ids={models[0]},{models[1]}"
    assert [series["x"] for series in client.get(address).json["series"]] == [[400, 500]] * 2
    by_time = client.get(f"{address}&by=time").json
    assert by_time["x_title"] == "Minutes of training"
    assert [(series["name"], series["x"]) for series in by_time["series"]] == [
        (f"A ({models[0]})", [2.0, 2.5]),
        (f"B ({models[1]}), since its first figure", [0.0, 100.0]),
    ]


def test_curves_of_different_music_name_it_and_are_said_not_to_compare(
    client: FlaskClient, content: WebContent
) -> None:
    datasets = [content.dataset("Chorales"), content.dataset("Waltzes"), content.dataset("The same waltzes")]
    models = [content.model(name, seed=seed) for seed, name in enumerate("ABC")]
    with content.database.transaction() as session:
        session.get_one(Dataset, datasets[0]).content_hash = "cd" * 32
    for dataset, model in zip(datasets, models, strict=True):
        training = content.training(dataset, model)
        with content.database.transaction() as session:
            session.add(
                TrainingPoint(training_id=training, step=400, values={"held_out_nats_per_event": 2.0, "seconds": 9.0})
            )
    words = "These curves are of “Chorales” and “Waltzes”: each is of the pieces that its own training held out"
    apart, alike = f"?ids={models[0]},{models[1]}", f"?ids={models[1]},{models[2]}"
    assert words in client.get(f"/models/compare{apart}").text
    assert "These curves are" not in client.get(f"/models/compare{alike}").text
    assert [series["name"] for series in client.get(f"/models/compare/loss.json{apart}").json["series"]] == [
        f"A ({models[0]}) on Chorales",
        f"B ({models[1]}) on Waltzes",
    ]
    assert client.get(f"/models/compare/loss.json{alike}").json["series"][0]["name"] == f"B ({models[1]})"


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


def test_figures_of_earlier_definitions_say_so(client: FlaskClient, content: WebContent, everything: Any) -> None:
    pages = (f"/evaluations/{everything.evaluation}", f"/models/{everything.model}")
    for address in pages:
        assert "Measured by the definitions of version" not in client.get(address).text
    with content.database.transaction() as session:
        session.get_one(Evaluation, everything.evaluation).version = RESULTS_VERSION - 1
    for address in pages:
        assert f"Measured by the definitions of version {RESULTS_VERSION - 1}" in client.get(address).text


def test_curves_of_a_training_lie_over_its_steps_or_its_time(client: FlaskClient, content: WebContent) -> None:
    model = content.model("A")
    training = content.training(content.dataset(), model)
    address = f"/trainings/{training}/loss.json"
    assert client.get(address).json["series"][0]["x"] == [100, 200, 300]
    timed = client.get(f"{address}?by=time").json
    assert (timed["x_title"], timed["series"][0]["x"]) == ("Minutes of training", [2.5, 5, 7.5])
    assert timed["x_from_zero"]  # its start is seen too
    for page in (f"/trainings/{training}", f"/models/{model}"):
        assert f"{address}?by=step" in client.get(page).text
        over_time = client.get(f"{page}?by=time").text
        assert f"{address}?by=time" in over_time
        assert f'<a href="{page}?by=time#curves" aria-current="true">Time</a>' in over_time
    with content.database.transaction() as session:
        for point in session.scalars(select(TrainingPoint).where(TrainingPoint.training_id == training)):
            # As an earlier version stored it.
            point.values = {"train_loss": point.values["train_loss"]}
            point.at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=point.step)
    earlier = client.get(f"{address}?by=time").json
    assert (earlier["x_title"], earlier["series"][0]["x"]) == (
        "Minutes since the first figure",
        [0, 100 / 60, 200 / 60],
    )


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
    own, other, model = content.dataset("Own music"), content.dataset("Other music"), content.model()
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
        session.add(
            SharedPassage(take_id=second, dataset_id=own, notes=0, threshold=25, flagged=False, version=VERSION - 1)
        )
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


def test_a_passage_begins_at_0_and_has_only_its_own_notes(client: FlaskClient, everything: Any) -> None:
    whole = client.get(f"/takes/{everything.takes[0]}/notes.json").json
    part = client.get(f"/takes/{everything.takes[0]}/passage.json?from_ms=1000&to_ms=6000").json
    expected = [start for start in whole["start_ms"] if 950 <= start <= 6050]
    assert part["start_ms"] == [start - expected[0] for start in expected]
    piece = client.get(f"/pieces/{everything.piece}/passage.json?from_ms=2000&to_ms=7000").json
    assert piece["start_ms"][0] == 0
    assert len(piece["start_ms"]) > 3


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
