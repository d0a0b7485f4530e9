"""Every kind of refusal: its code, its one form, and the field and range that it names."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from apiflask import APIFlask
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.settings import Settings
from tests.tools.refusals import REFUSALS
from tests.tools.web_content import WebContent
from webui.app import create_app


def test_bad_settings_name_the_field_and_the_range(api: Any, content: WebContent, subtests: pytest.Subtests) -> None:
    content.dataset()
    content.model()
    for case in REFUSALS:
        with subtests.test(case.name):
            message, fields = api.refused("POST", case.path, 422, json=case.values)
            assert case.field in fields
            for word in case.words:
                assert word in fields[case.field]
                assert word in message
    assert api.get("/jobs")["total"] == 0


_BAD_QUERIES: list[tuple[str, dict[str, str], str]] = [
    ("/jobs", {"state": "lost"}, "succeeded"),
    ("/jobs", {"kind": "coffee"}, "training"),
    ("/jobs", {"page": "0"}, "1 to 1000000"),
    ("/jobs", {"per_page": "501"}, "1 to 500"),
    ("/jobs", {"per_page": "many"}, "1 to 500"),
    ("/jobs", {"colour": "red"}, "no such setting"),
    ("/jobs", {"search": "a\0b"}, "zero character"),
    ("/datasets", {"search": "x" * 201}, "200"),
    ("/datasets", {"reference": "nothing"}, "'nothing'"),
    ("/models", {"reference": "abcdef12"}, "'abcdef12'"),
    ("/generations", {"model_id": "2147483648"}, "1 to 2147483647"),
    ("/generations/1/takes", {"sort": "beauty"}, "polyphony"),
    ("/generations/1/takes", {"starred": "perhaps"}, "starred"),
    ("/generations/1/takes.zip", {"ids": "1,two"}, "'two'"),
    ("/models/1/checkpoint", {"which": "worst"}, "best, last"),
    ("/takes/1/audio", {"format": "ogg"}, "wav, mp3"),
]


def test_bad_queries(api: Any, content: WebContent, subtests: pytest.Subtests) -> None:
    content.generation(content.model(), "0")
    for path, query, words in _BAD_QUERIES:
        with subtests.test(path=path, query=query):
            message, fields = api.refused("GET", path, 422, query_string=query)
            assert words in message
            assert fields


_BAD_BODIES = [
    (b"", 400, "not valid JSON"),
    (b"{", 400, "not valid JSON"),
    (b"\xff\xfe", 400, "not valid JSON"),
    (b"[" * 50_000, 400, "nested too deeply"),
    (b"[1]", 422, "a JSON object is needed"),
    (b"null", 422, "source: a value is required"),
    (b'{"source": "starter", "name": "\\ud800"}', 422, "name:"),
    (b'{"source": "starter", "name": "\\u0000"}', 422, "name:"),
    (b'{"source": "starter", "files_limit": NaN}', 422, "0 to 1000000"),
    (b'{"source": "starter", "files_limit": 1e400}', 422, "0 to 1000000"),
    (b'{"source": "starter", "colour": 1}', 422, "no such setting"),
    (b'{"source": {"a": 1}}', 422, "one of starter"),
    (b"{}", 422, "source: a value is required"),
]


def test_bodies_that_are_no_request(api: Any, subtests: pytest.Subtests) -> None:
    for body, status, words in _BAD_BODIES:
        with subtests.test(body=body[:60]):
            message, _ = api.refused("POST", "/datasets", status, data=body, content_type="application/json")
            assert words in message


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "application/xml", ""])
def test_only_json_is_taken(api: Any, kind: str) -> None:
    message, _ = api.refused("POST", "/datasets", 415, data=b"{}", content_type=kind)
    assert "application/json" in message
    message, _ = api.refused("POST", "/uploads", 415, data=b"{}", content_type=kind)
    assert "multipart/form-data" in message if kind in {"application/xml", ""} else message


@pytest.mark.parametrize(
    "path", ["datasets", "models", "trainings", "generations", "jobs", "takes", "pieces", "uploads"]
)
def test_what_does_not_exist(api: Any, path: str) -> None:
    singular = path.removesuffix("s")
    message, fields = api.refused("GET", f"/{path}/2147483647", 404)
    assert "2147483647" in message
    assert singular.replace("upload", "uploaded file") in message
    assert fields == {}


@pytest.mark.parametrize("number", ["0", "2147483648", "9" * 5_000, "-1", "x", "1.5"])
def test_numbers_that_no_database_can_store_are_no_address(app: APIFlask, number: str) -> None:
    for method, noun in (("GET", "jobs"), ("DELETE", "models"), ("PATCH", "takes")):
        response = app.test_client().open(f"/api/v1/{noun}/{number}", method=method, headers={"Host": "127.0.0.1"})
        assert response.status_code == 404
        assert response.json["error"]["message"]


def test_another_method(app: APIFlask) -> None:
    response = app.test_client().put("/api/v1/datasets", headers={"Host": "127.0.0.1"})
    assert response.status_code == 405
    assert response.json["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Host": "evil.example"}, "evil.example"),
        ({"Origin": "http://evil.example"}, "evil.example"),
        ({"Origin": "null"}, "null"),
        ({"Sec-Fetch-Site": "cross-site"}, "another site"),
    ],
)
def test_other_sites_are_refused(api: Any, content: WebContent, headers: dict[str, str], words: str) -> None:
    content.model()
    message, _ = api.refused("DELETE", "/models/1", 403, headers=headers)
    assert words in message
    assert api.get("/models")["total"] == 1


def test_files_that_cannot_be_used(api: Any, content: WebContent) -> None:
    content.model()
    for path, words in (("/generations/repeat", "not a MIDI file"), ("/models", "no checkpoint")):
        message, _ = api.refused("POST", path, 422, data={"file": (io.BytesIO(b"nonsense" * 9), "x")})
        assert words in message
    for path, field in (("/uploads", "files"), ("/models", "file")):
        _, fields = api.refused("POST", path, 422, data={"other": (io.BytesIO(b"x"), "x")})
        assert "no file was sent" in fields[field]
    _, fields = api.refused("POST", "/uploads", 422, data={"files": (io.BytesIO(b""), "empty.mid")})
    assert "'empty.mid' is empty" in fields["files"]


def test_an_upload_beyond_the_limit(settings: Settings, sqlite_url: str) -> None:
    small = settings.model_copy(update={"database_url": sqlite_url, "upload_limit_bytes": 1_000})
    app = create_app(small)
    files = {"files": (io.BytesIO(b"x" * 2_000), "big.mid")}
    response = app.test_client().post("/api/v1/uploads", data=files, headers={"Host": "127.0.0.1"})
    assert response.status_code == 413
    assert "1,000 bytes" in response.json["error"]["message"]
    app.extensions["cadenza"].database.dispose()


def test_a_fault_of_ours_is_json_without_its_traceback(api: Any, content: WebContent) -> None:
    content.dataset()
    content.database.engine.dispose()
    with content.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE piece RENAME TO lost")
    message, _ = api.refused("GET", "/datasets/1/pieces", 500)
    assert "piece" not in message
    assert "log" in message


def test_a_stored_file_that_is_missing(api: Any, content: WebContent) -> None:
    generation = content.generation(content.model(), "0")
    take = content.take_ids(generation)[0]
    content.store.delete(f"generations/{generation}/")
    message, _ = api.refused("GET", f"/takes/{take}/midi", 503)
    assert "cannot be read" in message


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.sampled_from(
    [
        "source",
        "name",
        "files_limit",
        "uploads",
        "take_ids",
        "generation_id",
        "address",
        "model",
        "dataset",
        "settings",
        "primer",
        "family",
        "preset",
    ]
)


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/datasets", "/trainings", "/generations"]), body=st.dictionaries(_FIELDS, _VALUES))
def test_no_json_breaks_the_server(api: Any, path: str, body: dict[str, Any]) -> None:
    """Whatever comes, the answer is a documented one, and none of our own faults."""
    client = api._client.post(
        "/api/v1" + path,
        data=json.dumps(body),
        content_type="application/json",
        headers={"Host": "127.0.0.1"},
    )
    assert client.status_code in {202, 409, 422}, client.text
    api._check("POST", path, client)
