"""What the views answer: whole pages, the parts of them that live updates fetch again, and the end of an action."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import urlencode

from flask import Response, current_app, flash, jsonify, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from core.errors import InputError
from webui.problems import wants_json

# These differ at each rendering although nothing has changed: relative times and form tokens.
_FLEETING = re.compile(r'(<time[^>]*>)[^<]*|(name="csrf_token" value=)"[^"]*"')


def page(template: str, status: int = 200, **context: Any) -> Response:
    """A page; or, where the request names a `_part`, only the template's block of that name, with an ETag."""
    part = request.args.get("_part", "")
    if not part:
        return make_response(render_template(template, **context), status)
    loaded = current_app.jinja_env.get_template(template)
    if part not in loaded.blocks or not part.startswith("live_"):
        raise InputError.of("_part", f"_part: {part[:40]!r} is no part of this page.")
    current_app.update_template_context(context)
    html = "".join(loaded.blocks[part](loaded.new_context(context)))
    response = make_response(html)
    response.set_etag(hashlib.sha256(_FLEETING.sub(r"\1\2", html).encode()).hexdigest()[:24])
    response.headers["Cache-Control"] = "no-cache, private"
    response.make_conditional(request)
    return response


def wanted_part() -> str:
    """The part that the request names, so that a view can leave out what that part does not show."""
    return request.args.get("_part", "")


def done(message: str, location: str, **more: Any) -> ResponseReturnValue:
    """The end of an action: JSON for our scripts, which show the message; else a redirect with a flashed message."""
    if wants_json():
        return jsonify({"message": message, "location": location, **more})
    flash(message, "success")
    return redirect(location, 303)


def number_arg(name: str, default: int = 1) -> int:
    """A whole number from the query string.

    Raises:
        InputError: something else.
    """
    text = request.args.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InputError.of(name, f"{name}: {text[:40]!r} is refused; a whole number is needed.")
    return int(text)


def with_args(**changes: Any) -> str:
    """The present address with some arguments changed, or left out where None."""
    args = {name: value for name, value in request.args.items(multi=True) if name != "_part"}
    args.update({name: str(value) for name, value in changes.items()})
    kept = {name: value for name, value in args.items() if value not in {"", "None"}}
    return request.path + ("?" + urlencode(kept) if kept else "")
