"""What orchestrators and Prometheus ask for."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import text

from core.logs import configure_logging
from core.models.base import utc_now
from core.models.jobs import Job, JobKind, Queue
from core.models.workers import Worker, WorkerState
from core.queue.claim import claim
from core.queue.enqueue import enqueue
from core.queue.tallies import Outcome, Tallies, store_tallies
from core.records.database import Database
from core.settings import Settings
from webui.app import create_app

_HERE = {"Host": "127.0.0.1"}


@pytest.fixture
def app(settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[APIFlask]:
    # The launcher's tests, in the same process, may have named a folder for several web processes.
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    made = create_app(settings.model_copy(update={"database_url": database_url}))
    yield made
    made.extensions["cadenza"].database.dispose()


def database_of(app: APIFlask) -> Database:
    found: Database = app.extensions["cadenza"].database
    return found


def figures(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by name and values of its labels in the labels' order."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def asked(app: APIFlask) -> dict[tuple[str, tuple[str, ...]], float]:
    answer = app.test_client().get("/metrics", headers=_HERE)
    assert answer.status_code == 200, answer.text
    return figures(answer.text)


def put(session: Any, queue: Queue, units: int, owner: str = "ann") -> Job:
    return enqueue(
        session,
        kind=JobKind.GENERATION if queue is Queue.GENERATION else JobKind.TRAINING,
        queue=queue,
        title="x",
        owner=owner,
        payloads=[{}] * units,
        request={},
    )


def test_health_asks_nobody(app: APIFlask) -> None:
    database_of(app).dispose()
    answer = app.test_client().get("/healthz", headers={"Host": "10.1.2.3:8420"})
    assert (answer.status_code, answer.json["status"]) == (200, "ok")


def test_ready_says_what_is_missing(app: APIFlask) -> None:
    client = app.test_client()
    # No broker runs here: jobs are kept, so people may come in.
    answer = client.get("/readyz", headers={"Host": "anything"})
    assert answer.status_code == 200, answer.text
    assert answer.json["checks"]["database"] == answer.json["checks"]["store"] == "ok"
    assert "jobs are kept" in answer.json["checks"]["broker"]
    with database_of(app).transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    answer = client.get("/readyz", headers={"Host": "anything"})
    assert answer.status_code == 503
    assert "9999" in answer.json["checks"]["database"]


def test_queues_workers_and_ages(app: APIFlask) -> None:
    with database_of(app).transaction() as session:
        job = put(session, Queue.GENERATION, 5)
        put(session, Queue.TRAINING, 1)
        job.created_at = utc_now() - timedelta(hours=1)
        session.add(Worker(name="w", host="h", pid=1, queues=["generation"], state=WorkerState.READY, version="7",
                           figures={"gpu_temperature_celsius": 61}))  # fmt: skip
    with database_of(app).exclusive() as session:
        assert claim(session, Queue.GENERATION, "w") is not None
    found = asked(app)
    assert found["cadenza_units", ("generation", "waiting")] == 4
    assert found["cadenza_units", ("generation", "running")] == 1
    assert found["cadenza_units", ("light", "waiting")] == 0
    assert 3600 <= found["cadenza_oldest_waiting_seconds", ("generation",)] < 3660
    assert 0 <= found["cadenza_oldest_waiting_seconds", ("training",)] < 60
    assert found["cadenza_queue_workers", ("generation",)] == 1
    assert found["cadenza_workers", ("ready",)] == 1
    assert found["cadenza_workers", ("gone",)] == 0
    assert found["cadenza_gpu_temperature_celsius", ("w",)] == 61


def test_durations_and_failures_add_up(app: APIFlask) -> None:
    tallies = Tallies()
    for seconds in (0.05, 2.0, 2.5, 1e9):
        tallies.add(JobKind.TRAINING, Outcome.DONE, seconds)
    tallies.add(JobKind.TRAINING, Outcome.FAILED, 5.0, "MemoryError")
    for _ in range(2):  # twice, as two workers would
        busy, counts = tallies.take()
        tallies.put_back(busy, counts)
        with database_of(app).transaction() as session:
            store_tallies(session, counts)
    found = asked(app)
    name = "cadenza_unit_seconds"
    assert found[f"{name}_bucket", ("training", "0.1", "done")] == 2
    assert found[f"{name}_bucket", ("training", "3", "done")] == 6
    assert found[f"{name}_bucket", ("training", "86400", "done")] == 6
    assert found[f"{name}_bucket", ("training", "+Inf", "done")] == found[f"{name}_count", ("training", "done")] == 8
    assert found[f"{name}_sum", ("training", "done")] == pytest.approx(2 * (1e9 + 4.55))
    assert found["cadenza_unit_failures_total", ("training", "failed", "MemoryError")] == 2


def test_many_workers_count_at_once(app: APIFlask) -> None:
    def count(number: int) -> None:
        tallies = Tallies()
        for kind in JobKind:
            tallies.add(kind, Outcome.DONE, 1.0 + number)
        with database_of(app).transaction() as session:
            store_tallies(session, tallies.take()[1])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(40)))
    found = asked(app)
    assert {found["cadenza_unit_seconds_count", (kind.value, "done")] for kind in JobKind} == {40}


def test_requests_are_timed_by_address_not_by_path(app: APIFlask) -> None:
    client = app.test_client()
    key = ("cadenza_http_request_seconds_count", ("api.get_job", "GET", "404"))
    before = asked(app).get(key, 0)
    for number in range(3):
        client.get(f"/api/v1/jobs/{number + 1}", headers=_HERE)
        client.open(f"/nowhere/{number}", method="BREW", headers=_HERE)
    found = asked(app)
    assert found[key] == before + 3
    assert not [labels for _, labels in found if any("nowhere" in label or label == "BREW" for label in labels)]


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"Host": "127.0.0.1", "X-Forwarded-For": "10.0.0.1"}, "127.0.0.1"),
        ({"Host": "10.0.0.1"}, "127.0.0.1"),
        ({"Host": "127.0.0.1"}, "10.0.0.7"),
    ],
)
def test_without_a_token_metrics_answer_this_machine_alone(
    app: APIFlask, headers: dict[str, str], address: str
) -> None:
    answer = app.test_client().get("/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": address})
    assert answer.status_code == 403
    assert "CADENZA_METRICS_TOKEN" in answer.text


def test_the_token_opens_the_metrics(settings: Settings, sqlite_url: str) -> None:
    app = create_app(settings.model_copy(update={"database_url": sqlite_url, "metrics_token": SecretStr("s3cret")}))
    client = app.test_client()
    far = {"environ_overrides": {"REMOTE_ADDR": "10.0.0.7"}}
    for given in (None, "Bearer s3cre", "s3cret", "Bearer s3cret2", "Bearer é"):
        headers = {"Host": "web:8420"} | ({"Authorization": given} if given else {})
        assert client.get("/metrics", headers=headers, **far).status_code == 401
    answer = client.get("/metrics", headers={"Host": "web:8420", "Authorization": "Bearer s3cret"}, **far)
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    assert "s3cret" not in answer.text
    database_of(app).dispose()


def test_the_id_of_a_request_is_in_its_answer_and_in_its_log_line(app: APIFlask) -> None:
    stream = io.StringIO()
    settings = app.extensions["cadenza"].settings.model_copy(update={"log_format": "json"})
    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure_logging(settings, "web", stream)
        client = app.test_client()
        given = client.post("/api/v1/jobs/7/cancel?q=private", headers=_HERE | {"X-Request-ID": "from-the-proxy-1"})
        own = client.post("/api/v1/jobs/8/cancel", headers=_HERE | {"X-Request-ID": "bad id\u00e9"})
    finally:
        logging.getLogger().handlers[:], level = before
        logging.getLogger().setLevel(level)
    assert given.headers["X-Request-ID"] == "from-the-proxy-1"
    assert len(own.headers["X-Request-ID"]) == 16
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    by_id = {line["request_id"]: line for line in lines if line["logger"] == "webui.request_ids"}
    assert by_id["from-the-proxy-1"]["event"] == "POST /api/v1/jobs/7/cancel 404"
    assert by_id["from-the-proxy-1"]["part"] == "web"
    assert by_id[own.headers["X-Request-ID"]]["event"] == "POST /api/v1/jobs/8/cancel 404"
    assert "private" not in stream.getvalue()


@pytest.mark.slow
def test_several_web_processes_count_together(settings: Settings, sqlite_url: str, tmp_path: Path) -> None:
    """Whichever process answers, every request to any of them is in the figures; a killed one's stay."""
    fields = {f"CADENZA_{name.upper()}": str(value) for name, value in settings.model_dump().items()}
    fields |= {"CADENZA_DATABASE_URL": sqlite_url, "CADENZA_WEB_PROCESSES": "3", "CADENZA_METRICS_TOKEN": "t"}
    with (tmp_path / "web.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "webui.launcher.web"], env={**os.environ, **fields}, stdout=log, stderr=log
        )
    try:
        address_file = settings.run_dir / "address"
        _until(address_file.exists)
        address = address_file.read_text()

        def ask(path: str) -> str:
            request = urllib.request.Request(address + path, headers={"Authorization": "Bearer t"})
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return str(answer.read().decode())
            except urllib.error.HTTPError as error:
                return str(error.code)

        _until(lambda: _answers(ask))
        with ThreadPoolExecutor(12) as pool:
            assert set(pool.map(lambda _: ask("/api/v1/jobs/9"), range(60))) == {"404"}
        key = ("cadenza_http_request_seconds_count", ("api.get_job", "GET", "404"))
        assert {figures(ask("/metrics"))[key] for _ in range(6)} == {60}
        _until(lambda: len(_children(server.pid)) == 3)
        killed = min(_children(server.pid))
        os.kill(int(killed), signal.SIGKILL)
        _until(lambda: len(_children(server.pid) - {killed}) == 3)
        assert figures(ask("/metrics"))[key] == 60
    finally:
        server.terminate()
        server.wait(60)


def _children(pid: int) -> set[str]:
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def _answers(ask: Callable[[str], str]) -> bool:
    try:
        return '"ok"' in ask("/healthz")
    except OSError:
        return False


def _until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not come about in time"
        time.sleep(0.05)
