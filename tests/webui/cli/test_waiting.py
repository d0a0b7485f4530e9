"""Staying with a job: progress, files as they finish, Ctrl-C, and a server that goes away for a moment."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.models.generations import Take
from core.models.jobs import Job, JobKind, JobState
from tests.tools.web_content import WebContent
from webui.cli.client import ApiClient
from webui.cli.refusal import Refusal


def test_takes_are_saved_while_others_are_made(
    cadenza: Any, content: WebContent, meanwhile: Any, until: Any, tmp_path: Path
) -> None:
    content.model()
    out = tmp_path / "new" / "takes"

    def work() -> None:
        until(lambda: _job(content, JobKind.GENERATION))
        for done in (3, 4, 9):
            content.make_takes(1, done - len(content.take_ids(1)))
            if done < 9:
                until(lambda done=done: len(_saved(out)) == done)
        content.make_takes(1)

    meanwhile(work)
    result = cadenza.run("generate", "--model", "1", "--seeds", "0-9", "--out", str(out))
    paths = [Path(line) for line in result.stdout.splitlines()]
    assert len(paths) == len(set(paths)) == 10
    assert [path.read_bytes() for path in paths] == [
        content.store.read(f"generations/1/takes/{index}.mid") for index in range(10)
    ]
    assert sorted(out.iterdir()) == sorted(paths)
    assert "generation 1, job 1: 10 takes" in result.stderr


def test_takes_that_finish_out_of_order_are_all_saved(
    cadenza: Any, content: WebContent, meanwhile: Any, until: Any, tmp_path: Path
) -> None:
    """Two workers make tiles side by side; more than one page of them."""
    content.model()
    content.generation(1, "0-23", made=0)
    content.make_takes(1, 24)
    with content.database.transaction() as session:
        takes = session.scalars(select(Take)).all()
        rows = [{c.name: getattr(take, c.name) for c in Take.__table__.columns} for take in takes]
        for take in takes:
            session.delete(take)
    later = [row for row in rows if row["index"] < 7]
    sooner = [row for row in rows if row["index"] >= 7]
    _put_back(content, sooner, JobState.RUNNING)

    def work() -> None:
        until(lambda: len(_saved(tmp_path)) == 17)
        _put_back(content, later, JobState.SUCCEEDED)

    meanwhile(work)
    from webui.cli.saving import TakeSaver

    with ApiClient(cadenza.url) as client:
        TakeSaver(client, 1, tmp_path, "mid", per_page=5).save_while_running(1)
    assert len(_saved(tmp_path)) == 24


def test_audio_is_rendered_and_saved(
    cadenza: Any, content: WebContent, meanwhile: Any, until: Any, tmp_path: Path
) -> None:
    content.model()

    def work() -> None:
        until(lambda: _job(content, JobKind.GENERATION))
        content.make_takes(1)
        for index in range(2):
            job = until(lambda index=index: _job(content, JobKind.AUDIO, index))
            with content.database.reading() as session:
                sha256 = session.get_one(Take, job.request["subject_id"]).sha256
            content.store.write(f"audio/{sha256[:2]}/{sha256}.mp3", b"sound %d" % index)
            content.finish_job(job.id)

    meanwhile(work)
    cadenza.run("generate", "--model", "1", "--seeds", "0,1", "--out", str(tmp_path), "--format", "mp3")
    assert sorted(path.read_bytes() for path in tmp_path.glob("*.mp3")) == [b"sound 0", b"sound 1"]


def test_audio_that_fails_ends_with_its_reason(
    cadenza: Any, content: WebContent, meanwhile: Any, until: Any, tmp_path: Path
) -> None:
    content.model()

    def work() -> None:
        until(lambda: _job(content, JobKind.GENERATION))
        content.make_takes(1)
        content.finish_job(until(lambda: _job(content, JobKind.AUDIO)).id, JobState.FAILED, "No SoundFont is here.")

    meanwhile(work)
    result = cadenza.run("generate", "--model", "1", "--seeds", "0", "--out", str(tmp_path), "--format", "wav", code=1)
    assert "No SoundFont is here." in result.stderr


@pytest.mark.parametrize(
    ("state", "error", "said"),
    [
        (JobState.FAILED, "The loss became NaN; lower the learning rate.", "Job 1 failed: The loss became NaN"),
        (JobState.CANCELLED, "", "Job 1 was cancelled"),
    ],
)
def test_a_job_that_does_not_end_well(
    cadenza: Any, content: WebContent, meanwhile: Any, until: Any, state: JobState, error: str, said: str
) -> None:
    content.dataset()

    def work() -> None:
        content.finish_job(until(lambda: _job(content, JobKind.TRAINING)).id, state, error)

    meanwhile(work)
    assert said in cadenza.run("train", "--dataset", "1", "--preset", "Starter", "--wait", code=1).stderr


def test_what_was_made_before_a_failure_is_saved(
    cadenza: Any, content: WebContent, meanwhile: Any, until: Any, tmp_path: Path
) -> None:
    content.model()

    def work() -> None:
        job = until(lambda: _job(content, JobKind.GENERATION))
        content.make_takes(1, 3)
        content.finish_job(job.id, JobState.FAILED, "The worker was lost three times.")

    meanwhile(work)
    result = cadenza.run("generate", "--model", "1", "--seeds", "0-9", "--out", str(tmp_path), code=1)
    assert "lost three times" in result.stderr
    assert len(_saved(tmp_path)) == 3


def test_an_import_tells_what_came_of_it(cadenza: Any, content: WebContent, meanwhile: Any, until: Any) -> None:
    meanwhile(lambda: content.finish_job(until(lambda: _job(content, JobKind.IMPORT)).id))
    assert "0 pieces, 0 notes, 0 files rejected" in cadenza.run("import", "starter", "--wait").stdout


def test_a_log_is_followed_to_its_end(cadenza: Any, content: WebContent, meanwhile: Any, until: Any) -> None:
    from core.queue.logs import log

    content.generation(content.model(), "0-3", made=0)

    def work() -> None:
        for line in ("first", "second"):
            with content.database.transaction() as session:
                log(session, 1, line)
        content.finish_job(1)

    meanwhile(work)
    lines = cadenza.run("job", "1", "--follow").stdout.splitlines()
    assert [line.split()[-1] for line in lines[-2:]] == ["first", "second"]


def test_ctrl_c_leaves_the_job_running(cadenza: Any, server: Any, content: WebContent, until: Any) -> None:
    content.model()
    command = [sys.executable, "-m", "webui.cli", "generate", "--model", "1", "--wait"]
    environment = {**os.environ, "CADENZA_URL": cadenza.url}
    # A shell lets what it starts in the background ignore Ctrl-C, and so would everything that is started from there.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    signal.signal(signal.SIGINT, before)
    try:
        until(lambda: server.asked.count("GET /api/v1/jobs/1") >= 2)
        process.send_signal(signal.SIGINT)
        shown, said = process.communicate(timeout=90)
    finally:
        process.kill()
        process.wait()
    assert shown == "generation 1, job 1: 8 takes\n"
    assert process.returncode == 130
    assert "Job 1 goes on. Cancel it with: cadenza cancel 1" in said
    assert "Traceback" not in said
    job = _job(content, JobKind.GENERATION)
    assert job is not None
    assert (job.state, job.cancel_requested) == (JobState.QUEUED, False)


def test_a_server_that_restarts_is_awaited(cadenza: Any, server: Any, content: WebContent, meanwhile: Any) -> None:
    content.generation(content.model(), "0-3", made=0)
    with ApiClient(server.url) as client:
        client.get("/overview")
        server.stop()
        back = threading.Timer(0.6, server.start)
        back.start()
        assert client.get("/jobs/1")["state"] == "queued"
        back.join()


def test_what_changes_something_is_sent_once() -> None:
    """A server that takes the request and dies has perhaps done it: asking again could do it twice."""
    taken: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take_and_die() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    taken.append(connection.recv(65_536))

        thread = threading.Thread(target=take_and_die)
        thread.start()
        with ApiClient(f"http://127.0.0.1:{listener.getsockname()[1]}") as client, pytest.raises(Refusal) as refusal:
            client.send("POST", "/jobs/1/cancel")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert "did not answer" in str(refusal.value)
    assert len(taken) == 1


def _job(content: WebContent, kind: JobKind, skip: int = 0) -> Job | None:
    with content.database.reading() as session:
        return session.scalars(select(Job).where(Job.kind == kind).order_by(Job.id).offset(skip)).first()


def _saved(folder: Path) -> list[Path]:
    return list(folder.glob("take-*.mid"))


def _put_back(content: WebContent, rows: list[dict[str, Any]], state: JobState) -> None:
    from core.models.generations import Generation

    with content.database.transaction() as session:
        session.add_all(Take(**row) for row in rows)
        session.flush()
        session.get_one(Generation, 1).takes_done = len(session.scalars(select(Take.id)).all())
        session.get_one(Job, 1).state = state
