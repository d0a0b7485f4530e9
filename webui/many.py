"""Whose jobs may be touched by what is done to many at once."""

from __future__ import annotations

from core.people.rights import Right
from webui.identity import current_actor


def others_allowed(owner: str) -> str:
    """The owner to whom an action on many jobs is confined; empty for all, which needs a right.

    Raises:
        AccessError: others' jobs were asked for by somebody who may change only their own.
    """
    actor = current_actor()
    if not owner and not actor.may(Right.CHANGE_OTHERS):
        return actor.name
    if owner and owner != actor.name:
        actor.require(Right.CHANGE_OTHERS)
    return owner
