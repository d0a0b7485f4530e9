"""The browsable documentation: Swagger UI from a wheel, started by a script of our own."""

from __future__ import annotations

from importlib.resources import files

from apiflask import APIFlask
from flask import Response, abort, render_template, send_file
from flask.blueprints import BlueprintSetupState

from webui.api.blueprint import api
from webui.api.document import complete

_FILES = {"swagger-ui.css": "css/swagger-ui.css", "swagger-ui-bundle.js": "js/swagger-ui-bundle.js"}
_KEPT_SECONDS = 86_400


@api.get("/docs")
@api.doc(hide=True)
def show_docs() -> str:
    """The page that shows the OpenAPI document and tries its operations."""
    return render_template("api_docs.html")


@api.get("/docs/<name>")
@api.doc(hide=True)
def send_docs_file(name: str) -> Response:
    """A script or style of Swagger UI."""
    if name not in _FILES:
        abort(404, f"There is no file {name[:100]!r} here.")
    path = files("flask_openapi3_swagger") / "templates" / "swagger" / _FILES[name]
    return send_file(str(path), max_age=_KEPT_SECONDS)


@api.record_once
def _complete_document(state: BlueprintSetupState) -> None:
    if isinstance(state.app, APIFlask):
        state.app.spec_processor(complete)
