"""What people do, from the first request to the last, on both databases."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pretty_midi
import pytest

from core.models.jobs import JobState
from core.music.writing import write_midi
from core.ready.shipped import ready_checkpoint, ready_model
from tests.tools.web_content import WebContent, some_notes


def _file(data: bytes, name: str) -> tuple[io.BytesIO, str]:
    return io.BytesIO(data), name


def test_importing_files(any_api: Any, any_content: WebContent) -> None:
    api = any_api
    files = [_file(write_midi(some_notes(index)), f"größe {index}.mid") for index in range(3)]
    uploads = api.ask("POST", "/uploads", 201, data={"files": files}).json["items"]
    assert [upload["file_name"] for upload in uploads] == ["größe 0.mid", "größe 1.mid", "größe 2.mid"]
    assert api.get(f"/uploads/{uploads[0]['id']}") == uploads[0]

    numbers = [upload["id"] for upload in uploads]
    response = api.ask("POST", "/datasets", 202, json={"source": "upload", "uploads": numbers, "name": "Mine"})
    dataset = response.json
    assert response.headers["Location"] == f"/api/v1/datasets/{dataset['id']}"
    assert dataset["job"]["state"] == "queued"
    assert not dataset["ready"]
    assert api.get("/datasets", reference="Mine")["items"][0]["id"] == dataset["id"]

    # What a waiting import needs stays, and it is the import itself that keeps the dataset.
    api.ask("DELETE", f"/uploads/{numbers[0]}", 204)
    api.get(f"/uploads/{numbers[0]}")
    message, _ = api.refused("DELETE", f"/datasets/{dataset['id']}", 409)
    assert f"job {dataset['job']['id']}" in message

    job = f"/jobs/{dataset['job']['id']}"
    assert "no worker" in api.get(job)["why_waiting"]
    assert api.bare(f"{job}/pause", 200)["paused"]
    assert not api.bare(f"{job}/resume", 200)["paused"]
    assert api.bare(f"{job}/cancel", 200)["state"] == "cancelled"
    again = api.bare(f"{job}/retry", 202)
    assert again["retry_of_id"] == dataset["job"]["id"]
    assert (again["subject"], again["subject_id"]) == ("dataset", dataset["id"])
    message, _ = api.refused("POST", f"{job}/retry", 409)
    assert f"job {again['id']}" in message
    api.bare(f"/jobs/{again['id']}/cancel", 200)

    renamed = api.ask("PATCH", f"/datasets/{dataset['id']}", json={"name": "<b>Ours</b>"}).json
    assert renamed["name"] == "<b>Ours</b>"
    api.ask("DELETE", f"/datasets/{dataset['id']}", 204)
    api.refused("GET", f"/datasets/{dataset['id']}", 404)
    api.ask("DELETE", f"/uploads/{numbers[1]}", 204)
    api.refused("GET", f"/uploads/{numbers[1]}", 404)


def test_looking_into_a_dataset(any_api: Any, any_content: WebContent) -> None:
    number = any_content.dataset()
    listed = any_api.get(f"/datasets/{number}/pieces", sort="title", descending="true", per_page=2)
    assert listed["total"] == 5
    assert [piece["title"] for piece in listed["items"]] == ["Piece 4", "Piece 3"]
    assert any_api.get(f"/datasets/{number}/pieces", search="piece 2.mid")["total"] == 1
    assert any_api.get(f"/datasets/{number}/rejections")["items"][0]["reason"] == "This is not a MIDI file."
    assert any_api.get(f"/datasets/{number}")["statistics"]["splits"]["train"]["pieces"] == 4

    piece = any_api.get(f"/pieces/{listed['items'][0]['id']}")
    columns = any_api.get(f"/pieces/{piece['id']}/notes")
    midi = any_api.ask("GET", f"/pieces/{piece['id']}/midi")
    read = pretty_midi.PrettyMIDI(io.BytesIO(midi.data)).instruments[0].notes
    assert len(columns["pitch"]) == piece["notes"] == len(read)
    assert sorted(columns["pitch"]) == sorted(note.pitch for note in read)
    assert columns["pitch_name"][0] == pretty_midi.note_number_to_name(columns["pitch"][0])
    assert "piece 4.mid" in midi.headers["Content-Disposition"]
    unchanged = any_api._client.get(
        f"/api/v1/pieces/{piece['id']}/midi", headers={"Host": "localhost", "If-None-Match": midi.headers["ETag"]}
    )
    assert unchanged.status_code == 304


def test_training(any_api: Any, any_content: WebContent) -> None:
    api = any_api
    any_content.dataset()
    wish = {"dataset": "Small pieces", "family": "lstm", "preset": "Starter", "settings": {"units": "512"}}
    few = api.post("/trainings/estimate", {**wish, "settings": {"steps": 20}}, 200)
    assert 0 < few["seconds"] < 120
    assert few["steps"] == 20
    # The preset's limit is 120 s, within which some of its steps fit where there is so much to do at each.
    wide = {"units": "4096"}
    limited = api.post("/trainings/estimate", {**wish, "settings": wide}, 200)
    assert limited["seconds"] == 120
    assert 1 <= limited["steps"] < 2_000
    # Whoever names the steps gets them, but for a limit of their own.
    whole = api.post("/trainings/estimate", {**wish, "settings": {**wide, "steps": 2_000}}, 200)
    assert whole["seconds"] > 2 * 120
    assert whole["steps"] == 2_000
    own = api.post("/trainings/estimate", {**wish, "settings": {**wide, "steps": 2_000, "minutes": 3}}, 200)
    assert own["seconds"] == 180
    article = api.post("/trainings/estimate", {"dataset": "Small pieces", "family": "tutorial"}, 200)
    assert article["steps"] is None
    padded = api.post("/trainings/estimate", {**wish, "settings": {"window": 4096}}, 200)
    assert "Set a window of 200 or less" in padded["advice"]
    nothing_follows = {"dataset": "Small pieces", "family": "tutorial", "settings": {"window": 60}}
    for path in ("/trainings/estimate", "/trainings"):
        assert "has 60 notes" in api.refused("POST", path, 422, json=nothing_follows)[1]["window"]

    response = api.ask("POST", "/trainings", 202, json=wish)
    training = response.json
    assert response.headers["Location"] == f"/api/v1/trainings/{training['id']}"
    assert training["settings"]["units"] == 512
    assert training["dataset_name"] == "Small pieces"
    assert api.get("/trainings")["items"][0] == api.get(f"/trainings/{training['id']}")
    assert api.get(f"/trainings/{training['id']}/points") == {"items": []}
    assert api.get("/jobs", state="active", kind="training", search="small")["total"] == 1

    done = any_content.training(1, any_content.model())
    points = api.get(f"/trainings/{done}/points", after_step=100)["items"]
    assert [(point["step"], point["seconds"]) for point in points] == [(200, 300), (300, 450)]
    assert points[0]["values"] == {"train_loss": 3.0}


def test_a_model_goes_to_another_place(any_api: Any, any_content: WebContent) -> None:
    api = any_api
    number = any_content.model()
    sent = api.ask("GET", f"/models/{number}/checkpoint")
    assert sent.data == any_content.checkpoint().to_bytes()
    assert int(sent.headers["Content-Length"]) == len(sent.data)
    api.refused("GET", f"/models/{number}/checkpoint", 404, query_string={"which": "last"})

    copy = api.ask("POST", "/models", 201, data={"file": _file(sent.data, "x.cadenza"), "name": "Copy"}).json
    assert copy["content_hash"] == api.get(f"/models/{number}")["content_hash"]
    assert copy["origin"] == "uploaded"
    assert api.get("/models", reference=copy["content_hash"][:12])["items"][0]["name"] == "Copy"
    assert api.ask("PATCH", f"/models/{copy['id']}", json={"name": "Other"}).json["name"] == "Other"
    assert api.get("/models", search="oth")["total"] == 1
    api.ask("DELETE", f"/models/{number}", 204)
    assert api.ask("GET", f"/models/{copy['id']}/checkpoint").data == sent.data


def test_the_shipped_model_is_there_once_it_is_asked_for(any_api: Any, any_content: WebContent) -> None:
    api = any_api
    assert api.get("/models")["total"] == 0
    model = api.ask("POST", "/models/ready").json
    assert api.ask("POST", "/models/ready").json == model == api.get(f"/models/{model['id']}")
    assert (model["origin"], model["content_hash"]) == ("ready", ready_model().content_hash)
    assert "## Licence" in model["card"]
    assert not api.get(f"/models/{any_content.model()}")["card"]
    sent = api.ask("GET", f"/models/{model['id']}/checkpoint").data
    assert sent == ready_checkpoint()
    api.ask("DELETE", f"/models/{model['id']}", 204)
    assert api.get("/models")["total"] == 1


def test_composing(any_api: Any, any_content: WebContent) -> None:
    api = any_api
    model = any_content.model()
    settings = {"seeds": "3 random", "temperatures": [0.9, 1.1], "length": 50, "program": 4}
    response = api.ask("POST", "/generations", 202, json={"model": "Small", "settings": settings})
    generation = response.json
    assert response.headers["Location"] == f"/api/v1/generations/{generation['id']}"
    assert generation["takes_total"] == 6
    message, _ = api.refused("DELETE", f"/generations/{generation['id']}", 409)
    assert "cancel job" in message
    message, _ = api.refused("DELETE", f"/models/{model}", 409)
    assert "used by job" in message

    any_content.make_takes(generation["id"])
    takes = api.get(f"/generations/{generation['id']}/takes", sort="seed", descending="true")["items"]
    assert [take["seed"] for take in takes] == sorted((take["seed"] for take in takes), reverse=True)
    take = takes[0]
    assert api.get(f"/takes/{take['id']}") == take
    midi = api.ask("GET", f"/takes/{take['id']}/midi").data
    assert len(midi) == take["size_bytes"]
    assert len(api.get(f"/takes/{take['id']}/notes")["pitch"]) == take["notes"]

    changed = api.ask("PATCH", f"/takes/{take['id']}", json={"starred": True, "note": "=2+2"}).json
    assert (changed["starred"], changed["note"]) == (True, "=2+2")
    starred = api.get(f"/generations/{generation['id']}/takes", starred="true")
    assert [item["id"] for item in starred["items"]] == [take["id"]]

    more = api.post(f"/takes/{take['id']}/more", {"count": 5})
    assert (more["takes_total"], more["settings"]["temperatures"]) == (5, [take["temperature"]])
    again = api.bare(f"/takes/{take['id']}/repeat")
    from_file = api.ask("POST", "/generations/repeat", 202, data={"file": _file(midi, "take.mid")}).json
    for repeated in (again, from_file):
        assert repeated["settings"]["seeds"] == str(take["seed"])
        assert repeated["settings"]["program"] == 4

    renamed = api.ask("PATCH", f"/generations/{generation['id']}", json={"name": "Night"}).json
    assert api.get("/generations", search="night")["items"] == [renamed]
    assert api.get("/generations", model_id=model)["total"] == 4
    api.ask("DELETE", f"/generations/{generation['id']}", 204)
    api.refused("GET", f"/takes/{take['id']}/midi", 404)


def test_the_zip_of_a_generation(any_api: Any, any_content: WebContent) -> None:
    number = any_content.generation(any_content.model(), "0-11")
    takes = any_api.get(f"/generations/{number}/takes")["items"]
    with zipfile.ZipFile(io.BytesIO(any_api.ask("GET", f"/generations/{number}/takes.zip").data)) as archive:
        assert archive.namelist() == [*(take["file_name"] for take in takes), "takes.csv"]
        table = archive.read("takes.csv").decode().splitlines()
        assert len(table) == 13
        sizes = [len(archive.read(take["file_name"])) for take in takes]
    assert sizes == [take["size_bytes"] for take in takes]

    chosen = f"{takes[7]['id']},{takes[2]['id']}"
    part = any_api.ask("GET", f"/generations/{number}/takes.zip", query_string={"ids": chosen})
    with zipfile.ZipFile(io.BytesIO(part.data)) as archive:
        assert archive.namelist() == [takes[2]["file_name"], takes[7]["file_name"], "takes.csv"]
    _, fields = any_api.refused("GET", f"/generations/{number}/takes.zip?ids=99999", 422)
    assert "no take 99999" in fields["ids"]


@pytest.mark.parametrize("extension", ["wav", "mp3"])
def test_audio_is_asked_for_and_then_fetched(api: Any, content: WebContent, extension: str) -> None:
    generation = content.generation(content.model(), "0")
    take = content.take_ids(generation)[0]
    query = {"format": extension}
    message, _ = api.refused("GET", f"/takes/{take}/audio", 404, query_string=query)
    assert "ask for its audio first" in message
    asked = api.post(f"/takes/{take}/audio", query)
    assert not asked["ready"]
    assert api.post(f"/takes/{take}/audio", query)["job"]["id"] == asked["job"]["id"]

    sha256 = api.get(f"/takes/{take}")["sha256"]
    content.store.write(f"audio/{sha256[:2]}/{sha256}.{extension}", b"sound")
    content.finish_job(asked["job"]["id"])
    assert api.post(f"/takes/{take}/audio", query, 200) == {"ready": True, "job": None}
    sound = api.ask("GET", f"/takes/{take}/audio", query_string=query)
    assert sound.data == b"sound"
    assert sound.mimetype == {"wav": "audio/wav", "mp3": "audio/mpeg"}[extension]


def test_a_failed_job_says_why(api: Any, content: WebContent) -> None:
    generation = content.generation(content.model(), "0-3", made=1)
    job = api.get(f"/generations/{generation}")["job"]["id"]
    content.finish_job(job, JobState.FAILED, "The loss became NaN at step 12; lower the learning rate.")
    shown = api.get(f"/jobs/{job}")
    assert shown["error"].startswith("The loss became NaN")
    assert shown["error_trace"] == "Traceback"
    assert api.get("/jobs", state="failed")["total"] == 1
    assert api.get(f"/jobs/{job}/log") == {"items": []}
    retried = api.bare(f"/jobs/{job}/retry")
    assert api.get(f"/generations/{generation}")["job"]["id"] == retried["id"]


def test_the_system_at_a_glance(api: Any, content: WebContent) -> None:
    content.worker()
    content.generation(content.model(), "0-3", made=1)
    overview = api.get("/overview")
    assert (overview["datasets"], overview["models"], overview["generations"]) == (0, 1, 1)
    assert {queue["name"]: queue["waiting"] for queue in overview["queues"]}["generation"] == 1
    assert overview["recent"][0]["kind"] == "generation"
    assert [worker["name"] for worker in api.get("/workers")["items"]] == ["worker-1"]
    assert {family["name"] for family in api.get("/families")["items"]} >= {"lstm", "tutorial"}
