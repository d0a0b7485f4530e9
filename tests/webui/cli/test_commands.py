"""What people type, against a live server; the test does the workers' part on the rows."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.models.jobs import Job, JobState
from core.music.writing import write_midi
from core.queue.logs import log
from core.ready.shipped import ready_model
from tests.tools.refusals import REFUSALS
from tests.tools.web_content import WebContent, some_notes


def test_what_the_api_refuses_is_refused_in_the_same_words(
    cadenza: Any, content: WebContent, subtests: pytest.Subtests
) -> None:
    content.dataset()
    content.model()
    for case in REFUSALS:
        with subtests.test(case.name):
            result = cadenza.run(*case.command, code=1)
            for word in case.words:
                assert word in result.stderr
            assert result.stdout == ""


_WRONG_USAGE: list[tuple[tuple[str, ...], str]] = [
    (("generate",), "--model"),
    (("generate", "--model", "1", "--notes", "5", "--seconds", "5"), "exclude each other"),
    (("generate", "--model", "1", "--primer", "nowhere.mid"), "a piece's number"),
    (("generate", "--model", "1", "--instrument", "piano"), "Acoustic Grand Piano"),
    (("generate", "--model", "1", "--instrument", "kazoo"), "0 to 127"),
    (("generate", "--model", "1", "--format", "ogg"), "mp3"),
    (("train", "--dataset", "1", "--set", "units"), "NAME=VALUE"),
    (("train", "--dataset", "1", "--set", "units=8", "--set", "units=9"), "twice"),
    (("import",), "Missing argument"),
    (("import", "nowhere"), "nor a file or folder"),
    (("job", "seven"), "no number of a job"),
    (("takes", "0"), "no number of a generation"),
    (("cancel",), "Give either numbers of jobs, or --all"),
    (("cancel", "3", "--all"), "Give either numbers of jobs, or --all"),
    (("retry",), "Give either the number of a job, or --failed"),
    (("queue", "move", "3", "--to", "up", "--before", "2"), "exclude each other"),
    (("queue", "pause", "heavy"), "no queue; there are training, generation, light"),
    (("worker",), "--queue is needed"),
    (("repeat", "nowhere.mid"), "does not exist"),
    (("dance",), "No such command"),
]


def test_wrong_usage_ends_with_2_before_anything_is_sent(
    cadenza: Any, content: WebContent, subtests: pytest.Subtests
) -> None:
    content.model()
    for words, said in _WRONG_USAGE:
        with subtests.test(words=words):
            assert said in cadenza.run(*words, code=2).stderr
    with content.database.reading() as session:
        assert session.scalars(select(Job)).all() == []


def test_an_empty_folder_is_refused(cadenza: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no MIDI file" in cadenza.run("import", str(tmp_path / "empty"), code=2).stderr


def test_importing_a_folder_a_file_and_a_zip(cadenza: Any, content: WebContent, tmp_path: Path) -> None:
    folder = tmp_path / "music"
    (folder / "2004").mkdir(parents=True)
    (folder / "2004" / "a.mid").write_bytes(write_midi(some_notes(1)))
    (folder / "b.MIDI").write_bytes(write_midi(some_notes(2)))
    (folder / "notes.txt").write_text("not this")
    (tmp_path / "c.kar").write_bytes(write_midi(some_notes(3)))
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("d.mid", write_midi(some_notes(4)))

    result = cadenza.run("import", str(folder), str(tmp_path / "c.kar"), str(tmp_path / "d.zip"), "--limit", "3")
    assert result.stdout == "dataset 1, job 1: music\n"
    dataset = json.loads(cadenza.run("datasets", "--json").stdout)["items"][0]
    assert (dataset["name"], dataset["source"]) == ("music", "upload")
    with content.database.reading() as session:
        settings = session.get_one(Job, 1).request["settings"]
        assert (settings["files_limit"], settings["uploads"]) == (3, [1, 2, 3, 4])
    assert _stored_uploads(content) == ["2004/a.mid", "b.MIDI", "c.kar", "d.zip"]


def test_importing_more_files_than_one_request_takes(cadenza: Any, content: WebContent, tmp_path: Path) -> None:
    for index in range(105):
        (tmp_path / f"{index:03d}.mid").write_bytes(b"MThd" + bytes([index]))
    cadenza.run("import", str(tmp_path), "--name", "Many")
    assert _stored_uploads(content) == [f"{index:03d}.mid" for index in range(105)]


def test_importing_what_the_server_would_not_take(
    cadenza: Any, server: Any, content: WebContent, tmp_path: Path
) -> None:
    limit = server.app.extensions["cadenza"].settings.upload_limit_bytes
    with (tmp_path / "huge.zip").open("wb") as stream:
        stream.truncate(limit + 1)
    assert f"{limit:,} bytes" in cadenza.run("import", str(tmp_path / "huge.zip"), code=1).stderr
    assert _stored_uploads(content) == []


def test_importing_the_starter_and_maestro(cadenza: Any) -> None:
    assert cadenza.run("import", "starter").stdout == "dataset 1, job 1: Bach chorales\n"
    assert cadenza.run("import", "maestro", "--name", "M").stdout == "dataset 2, job 2: M\n"
    listed = cadenza.run("datasets").stdout
    assert "Bach chorales" in listed
    assert "queued" in listed


def test_training_says_how_long_it_will_take(cadenza: Any, content: WebContent) -> None:
    content.dataset("Små stykker [ok]")
    options = ("--preset", "Starter", "--set", "units=512", "--set", "layers=2", "--name", "Deep")
    result = cadenza.run("train", "--dataset", "Små stykker [ok]", *options)
    assert "This will take about" in result.stderr
    assert "window" not in result.stderr
    assert result.stdout == "training 1, job 1: Deep\n"
    with content.database.reading() as session:
        assert session.get_one(Job, 1).kind == "training"
    assert "Små stykker [ok]" in cadenza.run("datasets").stdout
    wide = cadenza.run("train", "--dataset", "1", "--set", "window=4096")
    assert "Set a window of 200 or less." in wide.stderr


def test_generating_with_every_option(cadenza: Any, content: WebContent, tmp_path: Path) -> None:
    content.model("Mine")
    primer = tmp_path / "primer.mid"
    primer.write_bytes(write_midi(some_notes(5)))
    options = ["--seeds", "0-3,9", "--temperature", "0.9,1.1", "--seconds", "30", "--top-k", "40", "--top-p", "0.9"]
    options += ["--velocity", "80", "--tempo", "1.5", "--instrument", "cello", "--may-end-early", "--name", "All"]
    options += ["--primer", str(primer), "--primer-notes", "10"]
    result = cadenza.run("generate", "--model", "Mine", *options)
    assert result.stdout == "generation 1, job 1: 10 takes\n"
    (listed,) = json.loads(cadenza.run("generations", "--json").stdout)["items"]
    settings = listed["settings"]
    assert settings["primer"]["notes"] == 10
    assert (settings["seeds"], settings["temperatures"], settings["program"]) == ("0-3,9", [0.9, 1.1], 42)
    assert (settings["length"], settings["length_unit"], settings["may_end_early"]) == (30, "seconds", True)
    assert (settings["top_k"], settings["top_p"]) == (40, 0.9)
    assert (settings["velocity"], settings["tempo_factor"]) == (80, 1.5)
    assert listed["primer_title"] == "primer.mid"
    assert "0 of 10" in cadenza.run("generations", "--search", "all").stdout
    assert "queued" in cadenza.run("jobs").stdout


def test_repeating_a_take_from_its_file(cadenza: Any, content: WebContent, tmp_path: Path) -> None:
    generation = content.generation(content.model(), "41-42")
    name = f"generations/{generation}/takes/1.mid"
    (tmp_path / "take.mid").write_bytes(content.store.read(name))
    assert cadenza.run("repeat", str(tmp_path / "take.mid")).stdout == "generation 2, job 2: 1 take\n"
    (tmp_path / "other.mid").write_bytes(write_midi(some_notes(1)))
    assert "no Cadenza provenance" in cadenza.run("repeat", str(tmp_path / "other.mid"), code=1).stderr


def test_branching_a_take(cadenza: Any, content: WebContent) -> None:
    content.generation(content.model(), "41-42")
    told = cadenza.run("branch", "2", "--note", "25", "--count", "3", "--length", "40").stdout
    assert told == "generation 2, job 2: 3 takes\n"
    settings = json.loads(cadenza.run("generations", "--json").stdout)["items"][0]["settings"]
    assert (settings["join_primer"], settings["length"], settings["primer"]["notes"]) == (True, 40, 25)
    assert cadenza.run("branch", "2", "--note", "25").stdout == "generation 3, job 3: 8 takes\n"
    assert cadenza.run("branch", "2", "--note", "25", "--seeds", "0-6").stdout == "generation 4, job 4: 7 takes\n"
    assert json.loads(cadenza.run("generations", "--json").stdout)["items"][0]["settings"]["seeds"] == "0-6"
    both = cadenza.run("branch", "2", "--note", "25", "--seeds", "0-6", "--count", "7", code=1)
    assert "count: 7 is refused beside seeds" in both.stderr
    assert "can begin after note 1 to 60" in cadenza.run("branch", "2", "--note", "61", code=1).stderr
    assert "no take 9" in cadenza.run("branch", "9", "--note", "1", code=1).stderr
    assert "--note" in cadenza.run("branch", "2", code=2).stderr


def test_listing_takes(cadenza: Any, content: WebContent) -> None:
    generation = content.generation(content.model(), "0-59")
    listed = cadenza.run("takes", str(generation), "--sort", "seed", "--descending", "--per-page", "10").stdout
    assert listed.splitlines()[1].split()[1] == "59"
    assert "page 1 of 6, 60 in all" in listed
    assert "No take is finished yet" in cadenza.run("takes", str(generation), "--starred").stdout
    assert json.loads(cadenza.run("takes", str(generation), "--json").stdout)["total"] == 60
    assert "looks for copies" in cadenza.run("takes", str(generation), "--copies").stdout
    model, dataset = content.model("Net", seed=9), content.dataset()
    measured = content.generation(model)
    content.evaluation(model, dataset, measured)
    copies = cadenza.run("takes", str(measured), "--copies").stdout.splitlines()
    assert (len(copies), copies[1].split()[-1]) == (2, "40")
    assert "allowed are index" in cadenza.run("takes", str(generation), "--sort", "beauty", code=1).stderr


def test_jobs_from_waiting_to_their_end(cadenza: Any, content: WebContent) -> None:
    content.model()
    for seeds in ("0-3", "4-7", "8-11"):
        cadenza.run("generate", "--model", "1", "--seeds", seeds)
    assert "job 1: paused" in cadenza.run("pause", "1").stdout
    assert "1 " in cadenza.run("jobs", "--state", "paused", "--kind", "generation").stdout
    assert "job 1: queued" in cadenza.run("resume", "1").stdout
    result = cadenza.run("cancel", "1", "99", "2", code=1)
    assert result.stdout == "job 1: cancelled\njob 2: cancelled\n"
    assert "no job 99" in result.stderr
    assert "cancelled" in cadenza.run("cancel", "1", code=1).stderr
    assert cadenza.run("retry", "1").stdout.startswith("job 4: 4 takes")

    with content.database.transaction() as session:
        log(session, 3, "two lines\nof text", "warning")
    content.finish_job(3, JobState.FAILED, "The disk is full; free some space.")
    shown = cadenza.run("job", "3", "--log").stdout
    assert "The disk is full" in shown
    assert "warning two lines" in shown
    assert json.loads(cadenza.run("job", "3", "--json").stdout)["state"] == "failed"
    assert "waits  no worker serves the queue 'generation'" in cadenza.run("job", "4").stdout
    assert "There is no job 77" in cadenza.run("job", "77", code=1).stderr


def test_models_are_moved_renamed_and_deleted_after_a_question(
    cadenza: Any, content: WebContent, tmp_path: Path
) -> None:
    assert "There is no model yet" in cadenza.run("models").stdout
    content.model("Mine")
    digest = content.checkpoint().content_hash
    saved = Path(cadenza.run("models", "download", digest[:10], "--out", str(tmp_path)).stdout.strip())
    assert saved.read_bytes() == content.checkpoint().to_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [saved.name]
    assert cadenza.run("models", "upload", str(saved), "--name", "Copy").stdout == "model 2: Copy\n"
    assert cadenza.run("models", "rename", "Copy", "Twin").stdout == "model 2: Twin\n"
    assert "2.500" in cadenza.run("models").stdout
    assert cadenza.run("models", "delete", "Twin", answer="n\n", code=1).stdout.startswith("Delete model 2, 'Twin'?")
    cadenza.run("models", "delete", "Twin", answer="y\n")
    assert json.loads(cadenza.run("models", "--json").stdout)["total"] == 1
    assert "'Twin' is unknown" in cadenza.run("models", "delete", "Twin", "--yes", code=1).stderr
    assert (
        "no last checkpoint" in cadenza.run("models", "download", "1", "--last", "--out", str(tmp_path), code=1).stderr
    )
    (tmp_path / "broken.cadenza").write_bytes(b"PK broken")
    assert "no checkpoint" in cadenza.run("models", "upload", str(tmp_path / "broken.cadenza"), code=1).stderr


def test_the_shipped_model_is_added_once_and_shows_its_card(cadenza: Any, content: WebContent) -> None:
    assert "`cadenza models ready` adds one" in cadenza.run("models").stdout
    added = cadenza.run("models", "ready").stdout
    assert added == cadenza.run("models", "ready").stdout == f"model 1: {ready_model().name}\n"
    assert ready_model().name in cadenza.run("models").stdout
    assert cadenza.run("models", "card", "1").stdout == ready_model().card
    content.model("Mine")
    assert "'Mine' has no card" in cadenza.run("models", "card", "Mine", code=1).stderr


def test_the_status_shows_queues_and_workers(cadenza: Any, content: WebContent) -> None:
    assert "No worker runs." in cadenza.run("status").stdout
    content.worker("gpu-0")
    content.generation(content.model(), "0-3", made=0)
    shown = cadenza.run("status").stdout
    assert "gpu-0" in shown
    assert "0 datasets, 1 models, 1 generations" in shown
    assert json.loads(cadenza.run("status", "--json").stdout)["queues"][1]["waiting"] == 1


def _stored_uploads(content: WebContent) -> list[str]:
    from core.models.uploads import Upload

    with content.database.reading() as session:
        return list(session.scalars(select(Upload.file_name).order_by(Upload.id)))
