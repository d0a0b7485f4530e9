"""`/live`: the topics that change, as server-sent events; one connection serves all tabs of a browser."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, abort, current_app

from core.changes import ChangeFeed
from webui.context import current_services
from webui.identity import current_actor
from webui.live import LiveHub
from webui.sign_in import still_here
from webui.topic_sight import TopicSight

bp = Blueprint("live", __name__)
_KEY = "cadenza.live"


def attach_hub(app: Flask) -> LiveHub:
    """Give `app` its hub; nothing runs until the first page listens."""
    with app.app_context():
        hub = LiveHub(ChangeFeed.of(current_services().settings))
    app.extensions[_KEY] = hub
    return hub


@bp.get("/live")
def stream() -> Response:
    """Topics as they change, until the page goes or the server stops."""
    hub: LiveHub = current_app.extensions[_KEY]
    sight = TopicSight(current_services().database, current_actor())
    listener = hub.listen(sight.shows, still_here())
    if listener is None:
        abort(503, "Too many pages are listening; this one looks for changes by itself now and then.")
    response = Response(listener.events(), mimetype="text/event-stream")
    response.call_on_close(lambda: hub.forget(listener))
    response.headers["X-Accel-Buffering"] = "no"
    return response
