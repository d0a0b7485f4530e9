"""An application over a database of its own, and a client that holds every answer against the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from apiflask import APIFlask
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from core.settings import Settings
from tests.tools.web_content import WebContent
from webui.app import create_app
from webui.context import Services

_PREFIX = "/api/v1"


class CheckedClient:
    """Asks the API; an answer that the document does not promise fails the test."""

    def __init__(self, app: APIFlask, document: dict[str, Any]) -> None:
        self._client = app.test_client()
        self.document = document

    def ask(self, method: str, path: str, status: int = 200, **options: Any) -> TestResponse:
        """The answer, which must have `status`."""
        headers = {"Host": "127.0.0.1", **options.pop("headers", {})}
        response = self._client.open(_PREFIX + path, method=method, headers=headers, **options)
        assert response.status_code == status, f"{method} {path}: {response.status} {response.text[:500]}"
        self._check(method, path, response)
        return response

    def get(self, path: str, **query: Any) -> Any:
        """A successful answer's JSON."""
        return self.ask("GET", path, query_string=query).json

    def post(self, path: str, values: Any = None, status: int = 202) -> Any:
        """A successful answer's JSON."""
        return self.ask("POST", path, status, json=values).json if values is not None else self.bare(path, status)

    def bare(self, path: str, status: int = 202) -> Any:
        """The same, without a body."""
        return self.ask("POST", path, status).json

    def refused(self, method: str, path: str, status: int, **options: Any) -> tuple[str, dict[str, str]]:
        """A refusal's sentence and its fields."""
        error = self.ask(method, path, status, **options).json["error"]
        return error["message"], error["fields"]

    def _check(self, method: str, path: str, response: TestResponse) -> None:
        template, operation = self._operation(method, path)
        status = str(response.status_code)
        assert status in operation["responses"], f"{method} {template} answers {status}, which is not documented"
        declared = operation["responses"][status]
        for name in declared.get("headers", {}):
            assert name in response.headers, f"{method} {template} {status} lacks the header {name}"
        if status in {"204", "304"}:
            assert not response.data
            return
        kinds = declared["content"]
        kind = "audio/*" if "audio/*" in kinds and response.mimetype.startswith("audio/") else response.mimetype
        assert kind in kinds, f"{method} {template} {status} is {response.mimetype}, documented are {list(kinds)}"
        if kind == "application/json":
            schema = {**kinds[kind]["schema"], "components": self.document["components"]}
            value = json.loads(response.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
            Draft202012Validator(schema).validate(value)

    def _operation(self, method: str, path: str) -> tuple[str, dict[str, Any]]:
        for template, item in self.document["paths"].items():
            pattern = re.sub(r"\{[^}]*\}", "[0-9]+", re.escape(template).replace(r"\{", "{").replace(r"\}", "}"))
            if re.fullmatch(pattern, _PREFIX + path.partition("?")[0]) and method.lower() in item:
                return template, item[method.lower()]
        raise AssertionError(f"{method} {path} is not in the OpenAPI document")


@pytest.fixture
def app(settings: Settings, sqlite_url: str) -> Iterator[APIFlask]:
    """The application on a migrated SQLite database."""
    yield from _application(settings, sqlite_url)


@pytest.fixture
def any_app(settings: Settings, database_url: str) -> Iterator[APIFlask]:
    """The application, once on SQLite and once on PostgreSQL."""
    yield from _application(settings, database_url)


@pytest.fixture(scope="session")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The OpenAPI document, as the application serves it."""
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("document"), _env_file=None))
    served: dict[str, Any] = app.test_client().get(f"{_PREFIX}/openapi.json", headers={"Host": "localhost"}).json
    _services(app).database.dispose()
    return served


@pytest.fixture
def api(app: APIFlask, document: dict[str, Any]) -> CheckedClient:
    """A client of `app`."""
    return CheckedClient(app, document)


@pytest.fixture
def any_api(any_app: APIFlask, document: dict[str, Any]) -> CheckedClient:
    """A client of `any_app`."""
    return CheckedClient(any_app, document)


@pytest.fixture
def content(app: APIFlask) -> WebContent:
    """Fills the installation of `app`."""
    return _content(app)


@pytest.fixture
def any_content(any_app: APIFlask) -> WebContent:
    """Fills the installation of `any_app`."""
    return _content(any_app)


def _application(settings: Settings, url: str) -> Iterator[APIFlask]:
    made = create_app(settings.model_copy(update={"database_url": url}))
    yield made
    _services(made).database.dispose()


def _services(app: APIFlask) -> Services:
    services: Services = app.extensions["cadenza"]
    return services


def _content(app: APIFlask) -> WebContent:
    return WebContent(_services(app).database, _services(app).store)
