"""Strangers are refused: foreign hosts, foreign pages, forms without their token, bodies that are too large."""

from __future__ import annotations

import io
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from core.settings import Settings
from tests.tools.web_content import WebContent
from webui.app import create_app
from webui.guards import secret_key


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8420", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", ""]
)
@pytest.mark.parametrize("path", ["/", "/api/v1/jobs", "/live", "/assets/x/cadenza.css"])
def test_a_foreign_host_is_refused(client: FlaskClient, host: str, path: str) -> None:
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert "localhost" in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9999", "localhost:1", "LOCALHOST", "[::1]:8420"])
def test_this_machine_is_served_by_any_of_its_names(client: FlaskClient, host: str) -> None:
    assert client.get("/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/jobs/1/cancel", "/api/v1/jobs/1/cancel", "/uploads"])
def test_another_page_cannot_change_anything(client: FlaskClient, headers: dict[str, str], path: str) -> None:
    assert client.post(path, headers=headers).status_code == 403


def test_our_own_pages_may(client: FlaskClient) -> None:
    headers = {"Host": "localhost:8420", "Origin": "http://localhost:8420", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/jobs/1/cancel", headers=headers).status_code == 404


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "text/plain"])
def test_the_api_takes_nothing_that_a_foreign_form_could_send(client: FlaskClient, media_type: str) -> None:
    answer = client.post("/api/v1/generations", data=b"{}", content_type=media_type)
    assert answer.status_code == 415


def test_a_form_needs_its_token(app: APIFlask, content: WebContent) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    dataset = content.dataset()
    client = app.test_client()
    refused = client.post(f"/datasets/{dataset}/rename", data={"name": "Other"})
    assert refused.status_code == 400
    assert "load the page again" in refused.text
    token = re.search(r'name="csrf-token" content="([^"]+)"', client.get("/").text)
    assert token is not None
    assert client.post(f"/datasets/{dataset}/rename", data={"name": "A", "csrf_token": token[1]}).status_code == 303
    by_header = client.post(f"/datasets/{dataset}/rename", data={"name": "B"}, headers={"X-CSRFToken": token[1]})
    assert by_header.status_code == 303
    stranger = app.test_client()
    assert stranger.post(f"/datasets/{dataset}/rename", data={"name": "C", "csrf_token": token[1]}).status_code == 400


def test_every_answer_carries_the_headers_that_keep_scripts_out(client: FlaskClient) -> None:
    for path in ("/", "/nothing", "/api/v1/jobs"):
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'self'"
        assert "script-src" not in policy
        assert policy["frame-ancestors"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "no-store" in headers["Cache-Control"]


def test_an_upload_that_is_too_large_is_refused_with_the_limit(settings: Settings, sqlite_url: str) -> None:
    app = create_app(settings.model_copy(update={"database_url": sqlite_url, "upload_limit_bytes": 100_000}))
    app.config["WTF_CSRF_ENABLED"] = False
    files = {"files": (io.BytesIO(bytes(200_000)), "large.mid")}
    answer = app.test_client().post("/uploads", data=files, headers={"Accept": "application/json"})
    assert answer.status_code == 413
    assert "100,000 bytes" in answer.json["error"]["message"]
    page = app.test_client().post(
        "/datasets", data={"source": "upload", "files": (io.BytesIO(bytes(200_000)), "a.mid")}
    )
    assert page.status_code == 413
    assert "100,000 bytes" in page.text


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: secret_key(tmp_path / "new"), range(32)))
    assert len(keys) == 1
    assert len(keys.pop()) == 64
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["secret_key"]
    assert stat.S_IMODE((tmp_path / "new" / "secret_key").stat().st_mode) == 0o600
