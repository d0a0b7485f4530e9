"""How often is too often: attempts to sign in, and changes by one person. Counted in the broker's Redis."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from flask import Flask, current_app, request
from flask_limiter import Limiter

from core.people.rights import LOCAL_NAME, Scope
from core.settings import Settings
from webui.access import SAFE_METHODS
from webui.context import current_services
from webui.identity import current_actor

_KEY = "cadenza.attempt"


def attach_limits(app: Flask, settings: Settings) -> Limiter:
    """Limit how often one person may change something; a broker that is away is replaced by the process's memory."""
    limiter = Limiter(
        _who,
        app=app,
        application_limits=[_submissions],
        application_limits_exempt_when=_is_free,
        storage_uri=_storage(settings.resolved_broker_url),
        in_memory_fallback_enabled=True,
        strategy="moving-window",
        key_prefix="cadenza-limits",
        headers_enabled=True,
    )
    by_name = limiter.limit(_attempts_by_name, key_func=_name)
    by_address = limiter.limit(_attempts, key_func=lambda: f"address:{request.remote_addr}")
    app.extensions[_KEY] = by_address(by_name(_attempt))
    return limiter


def count_attempt() -> None:
    """Count an attempt to sign in, by the caller's address and by the name that the form says.

    Raises:
        RateLimitExceeded: there were too many within a minute. Answered as HTTP 429.
    """
    current_app.extensions[_KEY]()


def _attempt() -> None:
    """Nothing but what is counted."""


def _name() -> str:
    return f"name:{request.form.get('name', '').strip().lower()[:64]}"


def _attempts() -> str:
    return f"{current_services().settings.sign_ins_per_minute} per minute"


def _attempts_by_name() -> str:
    # Looser than for an address, or anybody could keep a person out by guessing on.
    return f"{3 * current_services().settings.sign_ins_per_minute} per minute"


def _who() -> str:
    actor = current_actor()
    return actor.name if actor.scopes else f"address:{request.remote_addr}"


def _submissions() -> str:
    return f"{current_services().settings.submissions_per_minute} per minute"


def _is_free() -> bool:
    """Looking is free, and so is the one user of an installation without accounts."""
    actor = current_actor()
    return request.method in SAFE_METHODS or Scope.WRITE not in actor.scopes or actor.name == LOCAL_NAME


def _storage(broker_url: str) -> str:
    """The broker's address as the limiter writes it."""
    parts = urlsplit(broker_url)
    if parts.scheme in {"redis+socket", "unix"}:
        return f"redis+unix://{unquote(parts.path)}"
    return broker_url
