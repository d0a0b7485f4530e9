"""The OpenAPI document is valid and whole, and its browsable form asks no other host."""

from __future__ import annotations

import re
from typing import Any

from apiflask import APIFlask
from openapi_spec_validator import validate

_HIDDEN = {"/api/v1/openapi.json", "/api/v1/docs", "/api/v1/docs/<name>"}


def test_the_document_is_valid_openapi(api: Any) -> None:
    validate(api.document)
    assert api.document["openapi"] == "3.1.0"


def test_every_address_of_the_api_is_in_the_document(api: Any, app: APIFlask) -> None:
    served = {
        (re.sub(r"<(?:[^:<>]*:)?([^<>]+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/") and rule.rule not in _HIDDEN
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {
        (path, method)
        for path, item in api.document["paths"].items()
        for method in item
        if method in {"get", "post", "put", "patch", "delete"}
    }
    assert documented == served
    assert len(documented) > 40


def test_every_operation_says_what_it_does_and_what_can_go_wrong(api: Any) -> None:
    names = set()
    for path, item in api.document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"].endswith("."), (path, method)
            assert operation["operationId"] not in names
            names.add(operation["operationId"])
            assert {"400", "403", "500"} <= set(operation["responses"])
            assert ("404" in operation["responses"]) == ("{" in path)
            for status, response in operation["responses"].items():
                if status >= "400" and status != "414":  # said by gunicorn, in its own words
                    schema = response["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}


def test_limits_of_pages_are_documented(api: Any) -> None:
    parameters = {each["name"]: each for each in api.document["paths"]["/api/v1/jobs"]["get"]["parameters"]}
    assert parameters["per_page"]["schema"]["maximum"] == 500
    assert parameters["page"]["schema"]["minimum"] == 1


def test_settings_of_a_generation_are_documented_with_their_limits(api: Any) -> None:
    settings = api.document["components"]["schemas"]["GenerationInput"]["properties"]["settings"]
    assert settings["properties"]["top_k"]["maximum"] == 390
    assert "primer" not in settings["properties"]


def test_the_browsable_form_loads_only_what_is_here(app: APIFlask) -> None:
    client = app.test_client()
    headers = {"Host": "127.0.0.1"}
    page = client.get("/api/v1/docs", headers=headers)
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "<script>" not in page.text
    assert not re.search(r"(?:https?:)?//[a-z]", page.text)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 7
    for address in loaded:
        if address != "/":
            answer = client.get(address, headers=headers)
            assert answer.status_code == 200, address
            assert len(answer.data) > 100
            answer.close()
    start = client.get(next(address for address in loaded if "api-docs.js" in address), headers=headers)
    assert "validatorUrl: null" in start.text
    start.close()
    assert client.get("/api/v1/docs/secrets.txt", headers=headers).status_code == 404
