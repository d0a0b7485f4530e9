"""What is downloaded and drawn: zips, MIDI files, pictures, notes, samples, assets."""

from __future__ import annotations

import csv
import io
import wave
import zipfile
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from flask.testing import FlaskClient

from core.models.generations import Take
from core.music.reading import read_midi
from tests.tools.web_content import WebContent
from webui.file_names import file_name


def test_the_zip_holds_all_takes_in_order_and_their_table(
    client: FlaskClient, everything: Any, content: WebContent
) -> None:
    answer = client.get(f"/generations/{everything.generation}/takes.zip")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        *files, table = archive.namelist()
        rows = list(csv.DictReader(io.StringIO(archive.read(table).decode())))
        assert [row["file"] for row in rows] == files
        assert [int(row["seed"]) for row in rows] == list(range(8))
        for take_id, name in zip(everything.takes, files, strict=True):
            assert archive.read(name) == client.get(f"/takes/{take_id}/take.mid").data
        again = client.get(f"/generations/{everything.generation}/takes.zip")
        with zipfile.ZipFile(io.BytesIO(again.data)) as other:  # its bytes also tell when it was packed
            assert [(name, other.read(name)) for name in other.namelist()] == [
                (name, archive.read(name)) for name in archive.namelist()
            ]


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_zip_of_the_chosen_takes(client: FlaskClient, everything: Any, method: str) -> None:
    path, ids = f"/generations/{everything.generation}/takes.zip", f"{everything.takes[5]},{everything.takes[1]}"
    answer = client.get(path, query_string={"ids": ids}) if method == "get" else client.post(path, data={"ids": ids})
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.namelist() == ["take-00001-seed-1-t1.mid", "take-00005-seed-5-t1.mid", "takes.csv"]


@pytest.mark.parametrize("ids", ["x", "1,", "999", "-1", "1;2"])
def test_a_choice_that_makes_no_sense_is_refused(client: FlaskClient, everything: Any, ids: str) -> None:
    assert client.get(f"/generations/{everything.generation}/takes.zip", query_string={"ids": ids}).status_code == 422


def test_pictures_are_kept_by_browsers_for_good(client: FlaskClient, everything: Any) -> None:
    take = everything.takes[0]
    answer = client.get(f"/takes/{take}/roll.svg?v=abc")
    assert "immutable" in answer.headers["Cache-Control"]
    assert ET.fromstring(answer.data).tag.endswith("svg")
    assert "immutable" not in client.get(f"/takes/{take}/roll.svg").headers["Cache-Control"]
    again = client.get(f"/takes/{take}/roll.svg", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_players_get_the_notes_of_the_file(client: FlaskClient, everything: Any, content: WebContent) -> None:
    take_id = everything.takes[1]
    with content.database.reading() as session:
        notes = read_midi(content.store.read(session.get_one(Take, take_id).midi_key)).notes
    columns = client.get(f"/takes/{take_id}/notes.json").json
    assert columns["pitch"] == notes.pitch.tolist()
    assert columns["start_ms"] == [round(onset * 1000) for onset in notes.onset_seconds]
    assert columns["seconds"] == pytest.approx(notes.end_seconds, abs=1e-3)
    piece = client.get(f"/pieces/{everything.piece}/notes.json").json
    original = read_midi(client.get(f"/pieces/{everything.piece}/piece.mid").data).notes
    assert piece["pitch"] == original.pitch.tolist()


def test_the_table_of_notes_has_names_steps_and_durations(client: FlaskClient, everything: Any) -> None:
    page = client.get(f"/pieces/{everything.piece}").text
    notes = read_midi(client.get(f"/pieces/{everything.piece}/piece.mid").data).notes
    names = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
    pitch = int(notes.pitch[7])
    assert f"{names[pitch % 12]}{pitch // 12 - 1}</td>" in page
    assert f"{notes.step_seconds[7]:.3f} s" in page
    assert "1 instrument" in page


def test_samples_are_rendered_once(client: FlaskClient, content: WebContent, monkeypatch: pytest.MonkeyPatch) -> None:
    first = client.get("/instruments/11/samples.wav")
    with wave.open(io.BytesIO(first.data)) as samples:
        assert samples.getnchannels() == 1
        assert samples.getnframes() / samples.getframerate() == pytest.approx(18 * 2.5, abs=0.01)
    monkeypatch.setattr("core.audio.instrument_samples.render_instrument_samples", None)
    assert client.get("/instruments/11/samples.wav").data == first.data


def test_search_for_a_primer_looks_through_all_pieces(client: FlaskClient, everything: Any) -> None:
    found = client.get("/pieces/search.json?search=piece 3").json["pieces"]
    assert [piece["title"] for piece in found] == ["Piece 3"]
    assert client.get("/pieces/search.json?search=%25").json["pieces"] == []


def test_charts_have_their_points(client: FlaskClient, everything: Any) -> None:
    chart = client.get(f"/trainings/{everything.training}/loss.json").json
    assert chart["series"][0]["x"] == [100, 200, 300]
    assert chart["series"][0]["y"] == [3.5, 3.0, 2.5]
    assert client.get(f"/trainings/{everything.training}/odd.json").status_code == 422


def test_assets_are_kept_for_good_under_their_version_only(client: FlaskClient) -> None:
    page = client.get("/").text
    path = page.partition('src="/assets/')[2].partition("/")[0]
    for name in ("app.js", "cadenza.css", "icons.svg", "plotly.js", "live-worker.js"):
        answer = client.get(f"/assets/{path}/{name}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
    assert "immutable" not in client.get("/assets/old/app.js").headers["Cache-Control"]
    for name in ("../app.py", "%2e%2e/app.py", "missing.js"):
        assert client.get(f"/assets/{path}/{name}").status_code == 404


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Prelude in C.mid", "Prelude in C.mid"),
        ("a/b\\c:d.mid", "a-b-c-d.mid"),
        ("../../x.mid", "-..-x.mid"),
        ("line\nbreak\r\n.mid", "linebreak.mid"),
        ("x" * 300 + ".mid", "x" * 116 + ".mid"),
        ("???", "-"),
        ("", "file"),
        ("Étude «№ 3».mid", "Étude «№ 3».mid"),
    ],
)
def test_downloads_have_names_that_every_disk_takes(text: str, name: str) -> None:
    assert file_name(text) == name
