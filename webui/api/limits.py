"""Limits of people, with what is used of them."""

from __future__ import annotations

from flask import Response
from sqlalchemy.orm import Session

from core.people.rights import Right
from core.queue import limits
from core.queue.usage import usages_of
from webui.access import needs
from webui.api.answers import no_content
from webui.api.blueprint import api
from webui.api.schemas.queue import LimitsInput, LimitsListing, LimitsOutput, OwnerQuery
from webui.context import current_services
from webui.identity import current_actor


@api.get("/limits")
@needs(Right.MANAGE_PEOPLE)
@api.output(LimitsListing)
def list_limits() -> LimitsListing:
    """Show the limits of everybody and of those who have their own, with what is used of them."""
    with current_services().database.reading() as session:
        return LimitsListing(items=_limits(session, limits.limited_owners(session)))


@api.get("/limits/mine")
@api.output(LimitsOutput)
def show_own_limits() -> LimitsOutput:
    """Show one's own limits, with what is used of them."""
    with current_services().database.reading() as session:
        return _limits(session, [current_actor().name])[0]


@api.put("/limits")
@needs(Right.MANAGE_PEOPLE)
@api.input(LimitsInput)
@api.output(LimitsOutput)
def set_limits(json_data: LimitsInput) -> LimitsOutput:
    """Set the limits of a person, or of everybody."""
    actor = current_actor()
    with current_services().database.transaction() as session:
        limits.set_limits(session, json_data.owner, json_data.model_dump(exclude={"owner"}), actor.name)
        return _limits(session, [json_data.owner])[0]


@api.delete("/limits")
@needs(Right.MANAGE_PEOPLE)
@api.input(OwnerQuery, location="query")
@api.output({}, status_code=204)
@api.doc(responses=[409])
def remove_limits(query_data: OwnerQuery) -> Response:
    """Let the limits of everybody hold for a person again, or remove those of everybody."""
    with current_services().database.transaction() as session:
        limits.remove_limits(session, query_data.owner)
    return no_content()


def _limits(session: Session, owners: list[str]) -> list[LimitsOutput]:
    held, used = limits.all_limits(session, owners), usages_of(session, owners)
    return [LimitsOutput.of(owner, held[owner], used[owner]) for owner in owners]
