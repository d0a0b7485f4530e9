"""The OpenAPI document: what APIFlask collects from the handlers, completed with what holds for all of them."""

from __future__ import annotations

import re
from typing import Any

from pydantic.json_schema import models_json_schema

from webui.api.schemas.common import ErrorAnswer
from webui.row_numbers import LARGEST_NUMBER

_PREFIX = "/api/v1"
_METHODS = ("get", "post", "put", "patch", "delete")
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
_TOO_LONG = {
    "description": "The address is longer than 8,190 bytes; said by the web server, before Cadenza sees it.",
    "content": {"text/html": {"schema": {"type": "string"}}},
}
_MEANINGS = {
    "400": "The request cannot be read, such as a body that is not JSON.",
    "401": "Accounts are on, and nobody is signed in: send a token.",
    "403": "A foreign host or origin, or something that is not yours to do.",
    "404": "There is no such thing (any more).",
    "409": "It does not fit the present state, such as deleting what is in use.",
    "413": "The body is larger than the server accepts.",
    "415": "The body has another content type.",
    "422": "A field is refused; the message names it and what is allowed.",
    "429": "Too many changes within a minute.",
    "500": "A fault of Cadenza itself; its details are in the server's log.",
    "503": "A stored file cannot be read or written just now.",
}
_INFO = """Everything that the pages can do. Lists answer `items`, `page`, `per_page` (1 to 500) and `total`;
errors answer `{"error": {"message": "...", "fields": {"seeds": "..."}}}`; times are ISO 8601 in UTC, durations in
seconds, sizes in bytes. Where a dataset or model is named, its number, its name or the start of its content hash will
do. Requests that change something take JSON (uploads: multipart) and are refused from other origins. Where accounts
are on, each request needs a token of its person: `Authorization: Bearer cadenza_...`."""


def complete(document: dict[Any, Any] | str) -> dict[Any, Any] | str:
    """The document with only the API's paths, every possible answer, and each schema once (its text form: as it is)."""
    if isinstance(document, str):
        return document
    document["openapi"] = "3.1.0"
    document["info"] |= {"title": "Cadenza", "description": _INFO}
    document["servers"] = [{"url": "/"}]
    document["paths"] = {path: item for path, item in document["paths"].items() if path.startswith(_PREFIX)}
    tags: dict[str, None] = {}
    for path, item in document["paths"].items():
        tag = path.removeprefix(_PREFIX).split("/")[1]
        for method in _METHODS:
            if method in item:
                tags[tag] = None
                _complete_operation(item[method], tag, is_safe=method == "get", has_number="{" in path)
                item[method]["operationId"] = _operation_id(method, path)
    document.setdefault("components", {})["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A personal token; needed where accounts are on."}
    }
    document["security"] = [{"token": []}, {}]
    document["tags"] = [{"name": tag} for tag in sorted(tags)]
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    _, errors = models_json_schema([(ErrorAnswer, "serialization")], ref_template="#/components/schemas/{model}")
    schemas |= errors["$defs"]
    short: dict[str, Any] = _with_short_references(document)
    # APIFlask names a nested schema once for each of its parents; they are the same class, so the same schema.
    short["components"]["schemas"] = {
        name.rpartition(".")[2]: schema for name, schema in short["components"]["schemas"].items()
    }
    for name in ("HTTPError", "ValidationError"):
        short["components"]["schemas"].pop(name, None)
    return short


def _complete_operation(operation: dict[str, Any], tag: str, *, is_safe: bool, has_number: bool) -> None:
    operation["tags"] = [tag]
    parameters, responses = operation.get("parameters", []), operation["responses"]
    for parameter in parameters:
        _complete_parameter(parameter)
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
    takes_input = "requestBody" in operation or any(parameter["in"] == "query" for parameter in parameters)
    wanted = {
        "400": True,
        "401": True,
        "403": True,
        "404": has_number,
        "413": "requestBody" in operation,
        "415": not is_safe,
        "422": takes_input,
        "429": not is_safe,
        "500": True,
        "503": True,
    }
    for status, meaning in _MEANINGS.items():
        if wanted.get(status) or status in responses:
            responses[status] = {"description": meaning, "content": _ERROR}
    responses["414"] = _TOO_LONG
    if "202" in responses and "200" in responses:
        # It may be there already: the same answer under another status, and nothing new to be found anywhere.
        responses["200"]["content"] = responses["202"]["content"]
    elif tag != "uploads":
        for status in responses.keys() & {"201", "202"}:
            responses[status]["headers"] = {
                "Location": {"description": "Where the new thing is.", "schema": {"type": "string"}}
            }


def _complete_parameter(parameter: dict[str, Any]) -> None:
    if parameter["in"] == "path":
        parameter["required"] = True
        if parameter["name"].endswith("_id"):
            parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": LARGEST_NUMBER}
    elif "description" in parameter["schema"]:
        parameter["description"] = parameter["schema"]["description"]


def _operation_id(method: str, path: str) -> str:
    words = [word for word in re.split(r"[^a-z0-9]+", re.sub(r"\{[^}]*\}", "one", path.removeprefix(_PREFIX))) if word]
    return "_".join([method, *words])


def _with_short_references(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: re.sub(r"(?<=#/components/schemas/)[^/]*\.", "", item)
            if key == "$ref" and isinstance(item, str)
            else _with_short_references(item)
            for key, item in value.items()
        }
    return [_with_short_references(item) for item in value] if isinstance(value, list) else value
