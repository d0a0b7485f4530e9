"""Scripts, styles and icons: local, versioned by their content, kept by browsers for good."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

from flask import Blueprint, Response, abort, send_file, send_from_directory, url_for
from markupsafe import Markup

_STATIC = Path(__file__).parent / "static"
_FOREVER = 365 * 86400

# Only these icons of Bootstrap's 2,000 go into the sprite; `icon` refuses any other name.
ICONS = (
    "activity", "arrow-clockwise", "arrow-repeat", "bell", "box-arrow-in-right", "box-arrow-right", "boxes",
    "broadcast", "check-circle-fill", "check-lg", "chevron-double-down", "chevron-double-up", "chevron-down",
    "chevron-left", "chevron-right", "chevron-up", "circle", "circle-half", "clipboard", "clock-history",
    "cloud-arrow-up", "collection-play", "cpu", "database", "diagram-2", "dice-5", "download", "envelope",
    "exclamation-octagon", "exclamation-triangle", "exclamation-triangle-fill", "file-earmark-music",
    "file-earmark-zip", "files", "filetype-mp3", "filetype-wav", "fingerprint", "folder-plus", "geo-alt", "graph-up",
    "grip-vertical", "hourglass-split", "house", "info-circle", "journal-text", "key", "link-45deg", "list", "list-ol",
    "list-task", "pause-circle", "pause-fill", "pencil", "people", "person", "play-circle", "play-fill", "plus-lg",
    "question-circle", "search", "skip-start", "slash-circle", "sliders", "soundwave", "speedometer2", "star",
    "star-fill", "stars", "stop-circle", "trash3", "upload", "volume-up-fill", "x-lg", "zoom-in", "zoom-out",
)  # fmt: skip


assets = Blueprint("assets", __name__)


def asset_url(filename: str) -> str:
    """The address of a file of webui/static; scripts that import each other relatively share its version."""
    return url_for("assets.send_asset", version=_version(), filename=filename)


def icon(name: str, label: str = "", classes: str = "") -> Markup:
    """A Bootstrap icon; decorative unless it has a label.

    Raises:
        KeyError: the icon is not in the sprite.
    """
    if name not in ICONS:
        raise KeyError(f"icon {name!r} is not in webui.assets.ICONS")
    meaning = Markup(' role="img" aria-label="{}"').format(label) if label else Markup(' aria-hidden="true"')
    return Markup('<svg class="bi {}"{}><use href="{}#{}"></use></svg>').format(
        classes, meaning, asset_url("icons.svg"), name
    )


@assets.get("/assets/<version>/<path:filename>")
def send_asset(version: str, filename: str) -> Response:
    """A static file, the icon sprite or the chart library."""
    if filename == "icons.svg":
        response = Response(_sprite(), mimetype="image/svg+xml")
    elif filename == "plotly.js":
        response = send_file(str(files("plotly") / "package_data" / "plotly.min.js"), mimetype="text/javascript")
    elif ".." in filename:
        abort(404)
    else:
        response = send_from_directory(_STATIC, filename)
    if version == _version():
        response.headers["Cache-Control"] = f"public, max-age={_FOREVER}, immutable"
    return response


@cache
def _version() -> str:
    digest = hashlib.sha256("".join(ICONS).encode())
    for path in sorted(_STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _sprite() -> str:
    """The chosen icons of the sprite that Bootstrap-Flask carries."""
    whole = (files("flask_bootstrap") / "static/bootstrap5/icons/bootstrap-icons.svg").read_text()
    symbols = dict(re.findall(r'(?s)(?=<symbol[^>]* id="([^"]+)")(<symbol.*?</symbol>)', whole))
    return '<svg xmlns="http://www.w3.org/2000/svg">' + "".join(symbols[name] for name in ICONS) + "</svg>"
