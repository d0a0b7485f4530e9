"""The blueprint of the JSON API, and what holds for each of its requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from apiflask import APIBlueprint
from flask import abort, current_app, request
from werkzeug.datastructures import FileStorage

from core.errors import InputError

_JSON = "application/json"
_MULTIPART = "multipart/form-data"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

View = TypeVar("View", bound=Callable[..., Any])

api = APIBlueprint("api", __name__, url_prefix="/api/v1")


def file_input(
    field: str, description: str, *, many: bool = False, texts: tuple[str, ...] = ()
) -> Callable[[View], View]:
    """Declare that a view takes a multipart form: files in `field`, and optional `texts` beside them."""
    binary = {"type": "string", "contentMediaType": "application/octet-stream"}
    files: dict[str, Any] = {"type": "array", "items": binary, "minItems": 1} if many else dict(binary)
    properties = {field: {**files, "description": description}, **{name: {"type": "string"} for name in texts}}
    body = {"type": "object", "properties": properties, "required": [field]}

    def declare(view: View) -> View:
        spec = view.__dict__.setdefault("_spec", {})
        spec.update(body=body, content_type=_MULTIPART)
        return view

    return declare


def sent_files(field: str) -> list[FileStorage]:
    """The files that the request carries in `field`.

    Raises:
        InputError: none.
    """
    files = [file for file in request.files.getlist(field) if file.filename]
    if not files:
        raise InputError.of(field, f"{field}: no file was sent; send at least one, with its name.")
    return files


@api.before_request
def _check_content_type() -> None:
    """Refuse a body of another type: a page of another site can send a form without asking, but no JSON."""
    if request.method in _SAFE_METHODS:
        return
    spec = getattr(current_app.view_functions.get(request.endpoint or ""), "_spec", {})
    wanted = spec.get("content_type", _JSON)
    has_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
    if (has_body or "body" in spec) and request.mimetype != wanted:
        abort(415, f"The content type {request.mimetype[:100]!r} is refused; allowed is {wanted}.")
