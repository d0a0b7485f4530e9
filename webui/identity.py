"""Who asks: the actor of the present request."""

from __future__ import annotations

from flask import g, has_request_context

from core.people.rights import NOBODY, SYSTEM_ACTOR, Actor


def current_actor() -> Actor:
    """The one on whose behalf the present request is answered; outside of a request, the system itself.

    `webui.access` sets it before any view runs; until then a request is nobody's.
    """
    if not has_request_context():
        return SYSTEM_ACTOR
    actor: Actor = g.get("actor", NOBODY)
    return actor
