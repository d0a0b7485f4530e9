"""The overview: what runs, what waits, what to do first."""

from __future__ import annotations

from flask import Blueprint

bp = Blueprint("overview", __name__)


@bp.get("/")
def index() -> str:
    """The first page."""
    return "Cadenza"
