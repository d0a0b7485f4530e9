"""All pages of the dashboard."""

from __future__ import annotations

from flask import Flask

from webui.pages import overview

_BLUEPRINTS = (overview.bp,)


def register_pages(app: Flask) -> None:
    """Register every page's blueprint."""
    for blueprint in _BLUEPRINTS:
        app.register_blueprint(blueprint)
