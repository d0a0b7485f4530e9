"""Who asks, one's own tokens, people, and the audit log."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Response
from sqlalchemy.orm import Session

from core.errors import ConflictError, InputError
from core.models.people import ApiToken, Person
from core.people import accounts, tokens
from core.people.audit import AuditFilter, find_entries
from core.people.rights import Right
from core.people.tokens import TokenSettings
from webui.access import needs
from webui.api.answers import no_content
from webui.api.blueprint import api
from webui.api.schemas.people import (
    AuditListing,
    AuditOutput,
    AuditQuery,
    MeOutput,
    NewTokenOutput,
    PeopleQuery,
    PersonInput,
    PersonListing,
    PersonOutput,
    PersonPatch,
    TokenInput,
    TokenOutput,
    TokensOutput,
)
from webui.context import current_services
from webui.identity import current_actor
from webui.sign_in import current_visitor


@api.get("/me")
@api.output(MeOutput)
def get_me() -> MeOutput:
    """Show on whose behalf requests are answered, and what that one may do."""
    return MeOutput.of(current_actor())


@api.get("/tokens")
@api.output(TokensOutput)
@api.doc(responses=[409])
def list_tokens() -> TokensOutput:
    """List one's own tokens, without their secrets."""
    with current_services().database.reading() as session:
        return TokensOutput(items=[TokenOutput.of(token) for token in tokens.tokens_of(session, _person(session))])


@api.post("/tokens")
@needs(Right.OWN_ACCOUNT)
@api.input(TokenInput)
@api.output(NewTokenOutput, status_code=201)
@api.doc(responses=[409])
def create_token(json_data: TokenInput) -> tuple[NewTokenOutput, int, dict[str, str]]:
    """Make a token; its secret is in this answer and nowhere else. One made by a token ends with that one at last."""
    visitor = current_visitor()
    parent = visitor.by if visitor is not None and isinstance(visitor.by, ApiToken) else None
    with current_services().database.transaction() as session:
        settings = TokenSettings.model_validate(json_data.model_dump())
        token, secret = tokens.create_token(session, _person(session), settings)
        if parent is not None:
            token.expires_at = min(token.expires_at, parent.expires_at)
        answer = NewTokenOutput(**TokenOutput.of(token).model_dump(), secret=secret)
    return answer, 201, {"Location": "/api/v1/tokens"}


@api.delete("/tokens/<number:token_id>")
@needs(Right.OWN_ACCOUNT)
@api.output({}, status_code=204)
@api.doc(responses=[409])
def delete_token(token_id: int) -> Response:
    """Revoke one of one's own tokens; programs that use it are refused from now on."""
    with current_services().database.transaction() as session:
        tokens.revoke_token(session, _person(session), token_id)
    return no_content()


@api.get("/people")
@needs(Right.MANAGE_PEOPLE)
@api.input(PeopleQuery, location="query")
@api.output(PersonListing)
def list_people(query_data: PeopleQuery) -> PersonListing:
    """List people by name."""
    with current_services().database.reading() as session:
        return PersonListing.of(accounts.find_people(session, **query_data.model_dump()), PersonOutput.of)


@api.post("/people")
@needs(Right.MANAGE_PEOPLE)
@api.input(PersonInput)
@api.output(PersonOutput, status_code=201)
@api.doc(responses=[409])
def create_person(json_data: PersonInput) -> tuple[PersonOutput, int, dict[str, str]]:
    """Add a person; the first one must be an administrator and turns accounts on."""
    services = current_services()
    with services.database.transaction() as session:
        answer = PersonOutput.of(accounts.add_person(session, **json_data.model_dump()))
    services.accounts.look_again()
    return answer, 201, {"Location": f"/api/v1/people/{answer.name}"}


@api.get("/people/<name>")
@needs(Right.MANAGE_PEOPLE)
@api.output(PersonOutput)
@api.doc(responses=[404])
def get_person(name: str) -> PersonOutput:
    """Show a person."""
    with current_services().database.reading() as session:
        return PersonOutput.of(accounts.get_person(session, name))


@api.patch("/people/<name>")
@needs(Right.MANAGE_PEOPLE)
@api.input(PersonPatch)
@api.output(PersonOutput)
@api.doc(responses=[404, 409])
def change_person(name: str, json_data: PersonPatch) -> PersonOutput:
    """Change a person's role, names, rights or password, or disable the account."""
    changes = json_data.model_dump(exclude_none=True)
    password = changes.pop("password", None)
    with current_services().database.transaction() as session:
        if password is not None:
            accounts.set_password(session, name, password)
        return PersonOutput.of(accounts.change_person(session, name, **changes))


@api.get("/audit")
@needs(Right.READ_AUDIT)
@api.input(AuditQuery, location="query")
@api.output(AuditListing)
def list_audit(query_data: AuditQuery) -> AuditListing:
    """List who did what, the newest first."""
    values = query_data.model_dump(exclude={"page", "per_page", "number"})
    moments = {name: _moment(name, values[name]) for name in ("since", "until")}
    wanted = AuditFilter(**{**values, **moments, "number": query_data.number or None})
    with current_services().database.reading() as session:
        found = find_entries(session, wanted, page=query_data.page, per_page=query_data.per_page)
        return AuditListing.of(found, AuditOutput.of)


def _moment(field: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError.of(field, f"{field}: {text!r} is no moment; write it as 2026-01-31T12:00:00Z.") from None


def _person(session: Session) -> Person:
    if not current_services().accounts.on:
        raise ConflictError("There are no accounts here, so no token is needed.")
    return accounts.get_person(session, current_actor().name)
