"""`/healthz`, `/readyz` and `/metrics`: what orchestrators and Prometheus ask for, outside of pages and API."""

from __future__ import annotations

import hmac
import ipaddress

from flask import Blueprint, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue

import core
from core.operations.readiness import check_readiness
from webui.context import current_services
from webui.metrics import CONTENT_TYPE, prometheus_text

bp = Blueprint("operations", __name__)
# Orchestrators ask under whatever name or address they know; nothing here tells what a person made.
OPEN_ENDPOINTS = frozenset({"operations.health", "operations.ready", "operations.metrics"})
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


@bp.get("/healthz")
def health() -> ResponseReturnValue:
    """Whether this process answers; asks nobody else, so that a database that is away restarts no web server."""
    return jsonify({"status": "ok", "version": core.__version__})


@bp.get("/readyz")
def ready() -> ResponseReturnValue:
    """Whether requests can be served: database, tables and store answer; 503 with the reasons otherwise."""
    services = current_services()
    readiness = check_readiness(services.database, services.store, services.settings)
    body = {"ready": readiness.ready, "version": core.__version__, "checks": readiness.checks}
    return jsonify(body), 200 if readiness.ready else 503


@bp.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Figures in Prometheus' text format, for this machine or for who knows the token."""
    token = current_services().settings.metrics_token.get_secret_value()
    if token:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            abort(401, "The metrics ask for the bearer token of CADENZA_METRICS_TOKEN.")
    elif not _asked_from_here():
        abort(403, "Without CADENZA_METRICS_TOKEN the metrics answer this machine alone.")
    return Response(prometheus_text(current_services().database), content_type=CONTENT_TYPE)


def _asked_from_here() -> bool:
    """From this machine itself, under a name of its own, and not through a proxy on it."""
    if any(name in request.headers for name in _FORWARDED):
        return False
    host = request.host.rsplit(":", 1)[0].strip("[]")
    return _is_loopback(request.remote_addr or "") and (host == "localhost" or _is_loopback(host))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
