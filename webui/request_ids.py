"""A name for each request: in the logs, in its answer, and in what it puts into the queue."""

from __future__ import annotations

import logging
import re
import secrets

import structlog
from flask import Flask, Response, g, request

HEADER = "X-Request-ID"
_GIVEN = re.compile(r"[A-Za-z0-9_.-]{8,64}")
_QUIET_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_logger = logging.getLogger(__name__)


def name_requests(app: Flask) -> None:
    """Give every request of `app` an id (the proxy's, when it sent a usable one), and log those that change things."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get(HEADER, "")
        g.request_id = given if _GIVEN.fullmatch(given) else secrets.token_hex(8)
        # A thread serves one request after the other: what the last one bound must not stay.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def end(response: Response) -> Response:
        if "request_id" in g:
            response.headers[HEADER] = g.request_id
            quiet = request.method in _QUIET_METHODS and response.status_code < 500
            # The path alone: what follows "?" may hold what a person typed.
            _logger.log(
                logging.DEBUG if quiet else logging.INFO, "%s %s %d", request.method, request.path, response.status_code
            )
        return response
