"""Who is listened to: this machine only, pages of our own only. And the headers that every answer carries.

Any page of any site that a person visits must be unable to reach the server: a foreign Host means a name that was
pointed at this machine (DNS rebinding), a foreign Origin means another site's script. Without accounts only this
machine's own names are taken; with them also the public one, and any address in numbers, which nobody can rebind.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

from webui.access import SAFE_METHODS
from webui.context import current_services
from webui.operations import OPEN_ENDPOINTS

# A form of another site can send these without asking first; what the API takes cannot be sent that way.
_FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "text/plain"})

# Plotly writes style attributes while it draws; nothing else needs a relaxation.
_CONTENT_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def guard(app: Flask) -> None:
    """Refuse foreign hosts and origins before anything else runs, and set the security headers of every answer."""
    app.before_request(_refuse_foreign_host)
    app.before_request(_refuse_foreign_origin)
    app.after_request(_set_headers)


def secret_key(data_dir: Path) -> str:
    """The key that signs sessions and form tokens: made once, readable by this user only."""
    path = data_dir / "secret_key"
    data_dir.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        aside = data_dir / f"secret_key.{secrets.token_hex(4)}.part"
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32))
        try:
            # A link, not a rename: of two processes that start at once, both use the key of the first.
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    return path.read_text().strip()


def _refuse_foreign_host() -> None:
    if request.endpoint in OPEN_ENDPOINTS:
        return
    try:
        name = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        name = ""
    services = current_services()
    public = services.settings.public_url
    if _is_this_machine(name):
        return
    if services.accounts.on and (_is_number(name) or (public and name == urlsplit(public).hostname)):
        return
    wanted = (public if services.accounts.on else "") or "127.0.0.1 or localhost"
    abort(403, f"The host {request.headers.get('Host', '')[:100]!r} is refused: open Cadenza as {wanted}.")


def _is_this_machine(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refuse_foreign_origin() -> None:
    if request.method in SAFE_METHODS:
        return
    origin = request.headers.get("Origin")
    if origin is not None and not _is_own(origin):
        abort(403, f"A request from the page {origin[:100]!r} is refused: only Cadenza's own pages may change things.")
    if origin is None and request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        abort(403, "A request from another site is refused: only Cadenza's own pages may change things.")
    if request.path.startswith("/api/") and request.mimetype in _FORM_TYPES:
        abort(415, f"The content type {request.mimetype!r} is refused; allowed is application/json.")


def _is_own(origin: str) -> bool:
    try:
        return urlsplit(origin).netloc == request.host
    except ValueError:
        return False


def _set_headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", _CONTENT_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    response.headers.setdefault("X-Frame-Options", "DENY")
    response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
    if current_services().settings.is_behind_tls:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
