"""Errors as answers: the codes of the one error family, as a page or as JSON, whichever the request is for."""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import Flask, current_app, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_limiter.errors import RateLimitExceeded
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from core.errors import (
    AccessError,
    CadenzaError,
    CheckpointError,
    ConflictError,
    InputError,
    MidiError,
    NotFoundError,
    SignInError,
    StorageError,
    SupersededError,
)
from webui.context import current_services

_STATUS: tuple[tuple[type[CadenzaError], int], ...] = (
    (SignInError, 401),
    (AccessError, 403),
    (InputError, 422),
    (MidiError, 422),
    (CheckpointError, 422),
    (NotFoundError, 404),
    (ConflictError, 409),
    (SupersededError, 409),
    (StorageError, 503),
)
_NO_PAGE = "There is no such page: what was here may be deleted, or the address has a mistake."


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that is not what was asked for: HTTP status, a sentence, and a sentence for each refused field."""

    status: int
    message: str
    fields: dict[str, str] = field(default_factory=dict)


def problem_of(error: Exception) -> Problem:
    """What to answer to an error; one that nobody raised on purpose becomes a 500 without its details."""
    if isinstance(error, CadenzaError):
        status = next((status for cls, status in _STATUS if isinstance(error, cls)), 422)
        fields = {problem.field: problem.message for problem in error.problems} if isinstance(error, InputError) else {}
        return Problem(status, str(error), fields)
    if isinstance(error, CSRFError):
        return Problem(400, "This form is too old, or came from elsewhere: load the page again and send it once more.")
    if isinstance(error, RequestEntityTooLarge):
        limit = current_services().settings.upload_limit_bytes
        return Problem(
            413,
            f"files: this upload is longer than {limit:,} bytes ({limit / 2**20:.4g} MiB), "
            "the most that is accepted; send it in parts.",
        )
    if isinstance(error, RateLimitExceeded):
        return Problem(429, f"That was too often: {error.limit.limit} is allowed. Wait a moment, then go on.")
    if isinstance(error, HTTPException) and error.code is not None:
        own = error.description if error.description != NotFound.description else _NO_PAGE
        return Problem(error.code, own or error.name)
    where = f", beside the request's id {g.request_id}" if "request_id" in g else ""
    return Problem(500, f"Something went wrong in Cadenza itself; the details are in the log of the web server{where}.")


def wants_json() -> bool:
    """Whether the request came from a program: the API, or one of our scripts."""
    return request.path.startswith("/api/") or request.accept_mimetypes.best == "application/json"


def handle_problems(app: Flask) -> None:
    """Answer every error of `app` in the form that the request expects."""
    app.register_error_handler(CadenzaError, _answer)
    app.register_error_handler(HTTPException, _answer)
    app.register_error_handler(Exception, _answer)


def _answer(error: Exception) -> ResponseReturnValue:
    problem = problem_of(error)
    if problem.status == 500:
        current_app.logger.error("unexpected error at %s %s", request.method, request.path, exc_info=error)
    headers = dict(error.get_headers()) if isinstance(error, HTTPException) else {}
    kept = {name: value for name, value in headers.items() if name in {"Allow", "Location", "Retry-After"}}
    if wants_json():
        body = {"error": {"message": problem.message, "fields": problem.fields}}
        return jsonify(body), problem.status, kept
    return render_template("problem.html", problem=problem), problem.status, kept
