"""Evaluations through the API."""

from __future__ import annotations

from typing import Any

from core.models.trainings import TrainingPoint
from tests.tools.web_content import WebContent


def test_a_model_is_measured_and_compared(any_api: Any, any_content: WebContent) -> None:
    api = any_api
    dataset, model = any_content.dataset("Music"), any_content.model("Net")
    sent = {"model": "Net", "dataset": "Music", "settings": {"takes": 8, "notes": 20}}
    response = api.ask("POST", "/evaluations", 202, json=sent)
    assert response.headers["Location"] == f"/api/v1/evaluations/{response.json['id']}"
    assert response.json["job"]["kind"] == "evaluation"
    assert response.json["settings"]["takes"] == 8
    message, _ = api.refused("DELETE", f"/evaluations/{response.json['id']}", 409)
    assert "cancel job" in message
    done = any_content.evaluation(model, dataset)
    assert api.get(f"/evaluations/{done}")["results"]["likelihood"]["nats_per_event"] == 2.1
    assert [each["id"] for each in api.get("/evaluations", model_id=model)["items"]] == [done, response.json["id"]]
    compared = api.get("/models/compare", ids=str(model))
    assert compared["dataset_name"] == "Music"
    assert (compared["differences"], compared["chosen_by"], compared["curves"]) == ([], [], [])
    row = compared["items"][0]
    assert row["nats_per_event"] == 2.1
    assert row["overlap_random"] < row["overlap_real"]
    assert row["defects_low"] <= row["defects_per_thousand"] < row["defects_high"]
    assert row["defects_real"] <= row["defects_random"]
    assert row["flagged_real"] is not None
    api.ask("DELETE", f"/evaluations/{done}", 204)
    assert api.get("/models/compare", ids=str(model))["items"][0]["nats_per_event"] is None


def test_a_split_and_curves_are_asked_for(api: Any, content: WebContent) -> None:
    dataset, model, without = content.dataset(), content.model("Net"), content.model("Untrained", seed=1)
    training = content.training(dataset, model)
    content.evaluation(model, dataset)
    with content.database.transaction() as session:
        for step in (400, 500):
            three = {
                "held_out_nats_per_event": 2.0,
                "held_out_nats_per_note": 5.0,
                "held_out_nats_per_second": step / 10,
            }
            session.add(TrainingPoint(training_id=training, step=step, values=three))
    found = api.get("/models/compare", ids=f"{model},{without}", curves="true", split="validation")
    assert [(each["model_name"], [point["step"] for point in each["points"]]) for each in found["curves"]] == [
        ("Net", [400, 500])
    ]
    last = found["curves"][0]["points"][-1]
    assert (last["nats_per_event"], last["nats_per_note"], last["nats_per_second"]) == (2.0, 5.0, 50.0)
    assert (found["curves"][0]["dataset_name"], found["curve_difference"]) == ("Small pieces", "")
    assert found["chosen_by"] == ["Net"]
    on_test = api.get("/models/compare", ids=str(model), dataset_id=str(dataset), split="test")
    assert (on_test["split"], on_test["items"][0]["nats_per_event"]) == ("test", None)
    _, fields = api.refused("GET", f"/models/compare?ids={model}&split=train", 422)
    assert "split" in fields
    _, fields = api.refused("GET", f"/models/compare?ids={model}&dataset_id=999", 422)
    assert "dataset_id" in fields


def test_copies_among_a_generation_s_takes_are_told(api: Any, content: WebContent) -> None:
    dataset, model = content.dataset(), content.model("Net")
    generation = content.generation(model)
    assert {take["copied_notes"] for take in api.get(f"/generations/{generation}/takes")["items"]} == {None}
    content.evaluation(model, dataset, generation)
    copied, *others = content.take_ids(generation)
    flagged = api.get(f"/generations/{generation}/takes", flagged="true")
    assert [(take["id"], take["copied_notes"]) for take in flagged["items"]] == [(copied, 40)]
    assert (flagged["total"], api.get(f"/takes/{copied}")["copied_notes"]) == (1, 40)
    rest = api.get(f"/generations/{generation}/takes", flagged="false")
    assert [(take["id"], take["copied_notes"]) for take in rest["items"]] == [(take, None) for take in others]


def test_what_cannot_be_measured_is_refused(api: Any, content: WebContent) -> None:
    model = content.model()
    _, fields = api.refused("POST", "/evaluations", 422, json={"model": model})
    assert "dataset_id" in fields
    _, fields = api.refused("POST", "/evaluations", 422, json={"model": model, "settings": {"takes": -1}})
    assert "takes" in fields
    api.refused("GET", "/models/compare?ids=a", 422)
    api.refused("GET", "/models/compare?ids=77", 422)


def test_a_generation_of_another_model_or_under_way_is_refused(api: Any, content: WebContent) -> None:
    dataset, first, second = content.dataset(), content.model(), content.model("Other", seed=1)
    made, waiting = content.generation(first), content.generation(first, made=2)
    sent = {"model": second, "dataset": dataset, "generation_id": made}
    _, fields = api.refused("POST", "/evaluations", 422, json=sent)
    assert "another model" in fields["generation_id"]
    api.refused("POST", "/evaluations", 409, json={**sent, "model": first, "generation_id": waiting})
    api.ask("POST", "/evaluations", 202, json={**sent, "model": first})


def test_a_take_is_searched_once(api: Any, content: WebContent) -> None:
    dataset, model = content.dataset(), content.model()
    content.training(dataset, model)
    generation = content.generation(model)
    content.evaluation(model, dataset, generation)
    known, _, unknown = content.take_ids(generation)[:3]
    assert api.get(f"/takes/{known}/originality")["items"][0]["notes"] == 40
    answer = api.ask("POST", f"/takes/{known}/originality", 200).json
    assert answer["ready"]
    job = api.ask("POST", f"/takes/{unknown}/originality", 202).json["job"]
    assert api.ask("POST", f"/takes/{unknown}/originality", 202).json["job"]["id"] == job["id"]
    strange = content.generation(content.model("Uploaded", seed=1))
    api.refused("POST", f"/takes/{content.take_ids(strange)[0]}/originality", 409)
