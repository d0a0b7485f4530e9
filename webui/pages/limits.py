"""Limits of people: for administrators to set, and for each to see their own."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from core.errors import InputError
from core.models.queues import EVERYBODY
from core.people.rights import Right
from core.queue import limits as service
from core.queue.usage import usages_of
from webui.access import needs
from webui.context import current_services
from webui.identity import current_actor
from webui.pages.answers import done, page

bp = Blueprint("limits", __name__, url_prefix="/limits")

_LONGEST_NAME = 200
_GIB = 2**30


@bp.get("")
def index() -> Response:
    """Everybody's limits, and those who have their own; without the right to see them, one's own."""
    actor = current_actor()
    may_manage = actor.may(Right.MANAGE_PEOPLE)
    with current_services().database.reading() as session:
        owners = service.limited_owners(session) if may_manage else []
        if actor.name not in owners:
            owners.append(actor.name)
        limits, usage = service.all_limits(session, owners), usages_of(session, owners)
        rows = [(owner, limits[owner], usage[owner]) for owner in owners]
        return page("queue/limits.html", rows=rows, may_manage=may_manage, my_name=actor.name, gib=_GIB)


@bp.get("/of")
@needs(Right.MANAGE_PEOPLE)
def show() -> Response:
    """The limits of one person, to be changed."""
    owner = request.args.get("owner", "")[:_LONGEST_NAME]
    with current_services().database.reading() as session:
        return page(
            "queue/limits_of.html",
            owner=owner,
            limits=service.limits_of(session, owner),
            usage=usages_of(session, [owner])[owner] if owner != EVERYBODY else None,
            gib=_GIB,
        )


@bp.post("")
@needs(Right.MANAGE_PEOPLE)
def save() -> ResponseReturnValue:
    """Set the limits of a person, or of everybody."""
    actor = current_actor()
    owner = request.form.get("owner", "").strip()
    if len(owner) > _LONGEST_NAME:
        raise InputError.of("owner", f"owner: {len(owner)} characters are refused; allowed is 0 to {_LONGEST_NAME}.")
    values: dict[str, float | None] = {
        "waiting_jobs": _number("waiting_jobs", whole=True),
        "running_units": _number("running_units", whole=True),
        "gpu_hours_week": _number("gpu_hours_week"),
    }
    gib = _number("storage_gib")
    values["storage_bytes"] = None if gib is None else int(gib * _GIB)
    with current_services().database.transaction() as session:
        service.set_limits(session, owner, values, actor.name)
    return done(f"The limits of {owner or 'everybody'} are set.", url_for("limits.index"))


@bp.post("/remove")
@needs(Right.MANAGE_PEOPLE)
def remove() -> ResponseReturnValue:
    """Let the limits of everybody hold for a person again."""
    owner = request.form.get("owner", "")
    with current_services().database.transaction() as session:
        service.remove_limits(session, owner)
    return done(f"{owner or 'Everybody'} has no limits of their own any more.", url_for("limits.index"), stay=True)


def _number(name: str, *, whole: bool = False) -> float | None:
    text = request.form.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    most = 2_000_000_000 if whole else 1_000_000
    if not 0 <= value <= most or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise InputError.of(name, f"{name}: {text[:40]!r} is refused; {kind} from 0 to {most:,} is needed, or nothing.")
    return int(value) if whole else value
