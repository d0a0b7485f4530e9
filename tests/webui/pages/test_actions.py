"""What the buttons do, for browsers with and without scripts."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.models.generations import Generation, Take
from core.models.jobs import Job, JobState
from core.models.trainings import Model, Training
from core.queue.control import cancel
from core.services.takes import audio_key
from core.services.trainings import create_training
from tests.tools.web_content import WebContent

JSON = {"Accept": "application/json"}


def take_of(content: WebContent, take_id: int) -> Take:
    with content.database.reading() as session:
        return session.get_one(Take, take_id)


@pytest.mark.parametrize("noun", ["dataset", "model", "generation"])
def test_things_are_renamed_and_deleted(client: FlaskClient, everything: Any, noun: str) -> None:
    path = f"/{noun}s/{getattr(everything, noun)}"
    answer = client.post(f"{path}/rename", data={"name": "Other name"})
    assert (answer.status_code, answer.location) == (303, path)
    assert "<h1>Other name</h1>" in client.get(path).text
    assert client.post(f"{path}/rename", data={"name": "x" * 201}).status_code == 422
    assert client.post(f"{path}/delete").location == f"/{noun}s"
    assert client.get(path).status_code == 404
    assert client.post(f"{path}/delete").status_code == 404


def test_what_a_job_uses_is_not_deleted(client: FlaskClient, content: WebContent) -> None:
    model = content.model()
    generation = content.generation(model, made=2)
    for path in (f"/models/{model}", f"/generations/{generation}"):
        answer = client.post(f"{path}/delete", headers=JSON)
        assert answer.status_code == 409
        assert "job 1" in answer.json["error"]["message"]
        assert client.get(path).status_code == 200


def test_a_job_is_paused_resumed_cancelled_and_tried_again(client: FlaskClient, content: WebContent) -> None:
    generation = content.generation(content.model(), made=2)
    page = f"/generations/{generation}"
    assert client.post("/jobs/1/pause").status_code == 303
    assert "Paused" in client.get(page).text
    assert client.post("/jobs/1/resume", headers=JSON).json["stay"] is True
    assert "Waiting" in client.get(page).text
    assert client.post("/jobs/1/cancel").status_code == 303
    assert "the 2 takes made before stay" in client.get(page).text
    assert client.post("/jobs/1/cancel").status_code == 409
    again = client.post("/jobs/1/retry")
    assert again.location == "/jobs/2"
    assert "tried again as" in client.get("/jobs/1").text
    assert "again after" in client.get("/jobs/2").text
    assert client.post("/jobs/1/retry").status_code == 409
    with content.database.reading() as session:
        assert session.get_one(Generation, generation).job_id == 2


def test_a_failed_job_shows_its_sentence_and_folds_its_traceback(
    client: FlaskClient, everything: Any, content: WebContent
) -> None:
    content.finish_job(everything.job, JobState.FAILED, "The zip is damaged; send it again.")
    page = client.get(f"/jobs/{everything.job}").text
    assert "The zip is damaged; send it again." in page
    assert page.index("<details>") < page.index("Traceback")
    assert "The zip is damaged" in client.get("/jobs").text


def test_a_take_is_starred_and_annotated(client: FlaskClient, everything: Any, content: WebContent) -> None:
    take = everything.takes[2]
    assert client.post(f"/takes/{take}/star", data={"starred": "1"}, headers=JSON).json["starred"] is True
    starred = client.get(f"/generations/{everything.generation}?show=starred").text
    assert f'id="take-{take}"' in starred
    assert starred.count('class="take"') == 1
    client.post(f"/takes/{take}/star", data={"starred": "0"})
    assert not take_of(content, take).starred
    client.post(f"/takes/{take}/note", data={"note": "Nice <end>\r\nreally"})
    assert take_of(content, take).note == "Nice <end>\nreally"
    assert "Nice &lt;end&gt;" in client.get(f"/takes/{take}").text
    assert client.post(f"/takes/{take}/note", data={"note": "x" * 2001}).status_code == 422


def test_more_like_a_take_and_the_same_again(client: FlaskClient, everything: Any, content: WebContent) -> None:
    take = take_of(content, everything.takes[3])
    more = client.post(f"/takes/{take.id}/more")
    assert more.status_code == 303
    repeated = client.post(f"/takes/{take.id}/repeat")
    midi = client.get(f"/takes/{take.id}/take.mid").data
    from_file = client.post("/generations/repeat", data={"file": (io.BytesIO(midi), "x.mid")})
    numbers = [int(answer.location.rsplit("/", 1)[1]) for answer in (more, repeated, from_file)]
    with content.database.reading() as session:
        eight, same, uploaded = (session.get_one(Generation, number) for number in numbers)
        assert eight.takes_total == 8
        assert same.settings["seeds"] == uploaded.settings["seeds"] == str(take.seed)
        assert same.settings == uploaded.settings


def test_a_take_is_branched_from_its_page(client: FlaskClient, everything: Any, content: WebContent) -> None:
    take = take_of(content, everything.takes[3])
    page = client.get(f"/takes/{take.id}").text
    form = page[page.index(f'action="/takes/{take.id}/branch"') :]
    fields = set(re.findall(r'name="([a-z_]+)"', form[: form.index("</form>")]))
    assert fields == {"csrf_token", "note", "count", "seeds", "length"}
    answer = client.post(f"/takes/{take.id}/branch", data={"note": "30", "count": "3", "length": ""})
    assert answer.status_code == 303
    with content.database.reading() as session:
        branch = session.get_one(Generation, int(answer.location.rsplit("/", 1)[1]))
        assert (branch.takes_total, branch.settings["primer"]["notes"]) == (3, 30)
        assert branch.settings["join_primer"]
        assert branch.settings["length"] == take.notes_count - 30
    # Named seeds take the place of the number that the form sends beside them.
    answer = client.post(f"/takes/{take.id}/branch", data={"note": "30", "count": "8", "seeds": "5,7", "length": ""})
    with content.database.reading() as session:
        named = session.get_one(Generation, int(answer.location.rsplit("/", 1)[1]))
        assert (named.takes_total, named.settings["seeds"]) == (2, "5,7")
    for data, words in (
        ({"note": "61", "count": "3"}, "can begin after note 1 to 60"),
        ({"note": "", "count": "3"}, "note: a value is required"),
        ({"note": "30", "count": "0"}, "allowed is 1 to 1000"),
        ({"note": "30", "count": "8", "seeds": "7-5"}, "runs backwards; write "),
    ):
        refused = client.post(f"/takes/{take.id}/branch", data=data, headers=JSON)
        assert refused.status_code == 422
        assert words in refused.json["error"]["message"]
        assert words in client.post(f"/takes/{take.id}/branch", data=data).text


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "no MIDI file was chosen"), (b"MThd", "cut short"), (b"hello", "MIDI")]
)
def test_a_file_without_provenance_is_refused(client: FlaskClient, data: bytes, words: str) -> None:
    files = {"file": (io.BytesIO(data), "x.mid" if data else "")}
    answer = client.post("/generations/repeat", data=files, headers=JSON)
    assert answer.status_code == 422
    assert words in answer.json["error"]["message"]


def test_a_model_travels_as_a_file(client: FlaskClient, everything: Any, content: WebContent) -> None:
    data = client.get(f"/models/{everything.model}/model.cadenza").data
    answer = client.post("/models", data={"file": (io.BytesIO(data), "travelled.cadenza"), "name": ""})
    assert answer.status_code == 303
    with content.database.reading() as session:
        copy = session.query(Model).order_by(Model.id.desc()).first()
        assert copy is not None
        assert (copy.name, copy.origin) == ("travelled", "uploaded")
    # It has the curves and the dataset of the model that it is a copy of.
    shown = client.get(f"/models/{copy.id}").text
    assert "trained on Small pieces, uploaded" in shown
    assert f'data-chart="/trainings/{everything.training}/loss.json' in shown
    assert "(trained on it)" in shown
    said = client.get(f"/api/v1/models/{copy.id}").json
    assert (said["training_id"], said["dataset_id"]) == (everything.training, everything.dataset)
    trainings = client.get("/trainings").text
    assert f'href="/models/{everything.model}"' in trainings
    assert f'href="/models/{copy.id}"' not in trainings
    broken = client.post("/models", data={"file": (io.BytesIO(data[:-200]), "broken.cadenza")}, headers=JSON)
    assert broken.status_code == 422
    assert client.post("/models", headers=JSON).status_code == 422


def test_audio_is_a_job_until_its_file_is_there(client: FlaskClient, everything: Any, content: WebContent) -> None:
    take = take_of(content, everything.takes[0])
    path = f"/takes/{take.id}/audio/wav"
    asked = client.post(path, headers=JSON).json
    assert asked["ready"] is False
    assert client.post(path, headers=JSON).json["job_id"] == asked["job_id"], "asked twice, rendered twice"
    look = {"job_id": str(asked["job_id"])}
    assert client.post(path, data=look, headers=JSON).json["ready"] is False
    assert client.get(asked["file"]).status_code == 404
    content.store.write(audio_key(take, "wav"), b"RIFF....")
    assert client.post(path, data=look, headers=JSON).json["ready"] is True
    answer = client.get(asked["file"])
    assert (answer.data, answer.mimetype) == (b"RIFF....", "audio/wav")
    assert client.post(path, headers=JSON).json["ready"] is True
    assert client.post(f"/takes/{take.id}/audio/ogg", headers=JSON).status_code == 422


def test_audio_that_failed_says_why(client: FlaskClient, everything: Any, content: WebContent) -> None:
    path = f"/takes/{everything.takes[0]}/audio/mp3"
    job = client.post(path, headers=JSON).json["job_id"]
    content.finish_job(job, JobState.FAILED, "The disk is full.")
    assert client.post(path, data={"job_id": str(job)}, headers=JSON).json["failed"] == "The disk is full."
    with content.database.reading() as session:
        assert session.get_one(Job, job).state is JobState.FAILED


def test_the_best_checkpoint_of_a_cancelled_training_becomes_a_model(client: FlaskClient, content: WebContent) -> None:
    dataset = content.dataset()
    with content.database.transaction() as session:
        training = create_training(session, dataset_id=dataset, family="lstm", values={})
        cancel(session, training.job_id or 0)
    path = f"/trainings/{training.id}"
    assert "Keep the best so far" not in client.get(path).text
    assert client.post(f"{path}/keep", headers=JSON).status_code == 409
    checkpoint = content.checkpoint(3)
    content.store.write("trainings/1/best.cadenza", checkpoint.to_bytes())
    with content.database.transaction() as session:
        session.get_one(Training, training.id).best_key = "trainings/1/best.cadenza"
    assert "Keep the best so far" in client.get(path).text
    kept = client.post(f"{path}/keep")
    assert kept.status_code == 303
    assert checkpoint.content_hash[:12] in client.get(kept.location).text
    again = client.post(f"/api/v1/trainings/{training.id}/keep")
    assert again.json["content_hash"] == checkpoint.content_hash
    assert kept.location == f"/models/{again.json['id']}", "keeping twice makes one model"
