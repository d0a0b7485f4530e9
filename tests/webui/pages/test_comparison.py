"""Models and loss curves side by side, and what is said where they do not compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select

from core.evaluation.results import VERSION as RESULTS_VERSION
from core.models.datasets import Dataset
from core.models.evaluations import Evaluation
from core.models.trainings import Training, TrainingPoint
from tests.tools.web_content import WebContent


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
