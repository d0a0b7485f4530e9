"""One's own account: name, password, where one is signed in, tokens."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from core.errors import AccessError, CadenzaError, ConflictError, InputError
from core.models.people import Person, SignIn
from core.people import sign_ins, tokens
from core.people.accounts import change_person, get_person, set_password
from core.people.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD, password_fits
from core.people.rights import Right
from webui.access import needs
from webui.context import current_services
from webui.forms import field_errors, form_fields, form_values
from webui.identity import current_actor
from webui.limits import count_attempt
from webui.pages.answers import done, page
from webui.problems import problem_of
from webui.sign_in import VIA_BROWSER, current_visitor

bp = Blueprint("account", __name__, url_prefix="/account")


@bp.get("")
def show() -> Response:
    """All of it; without accounts, how to turn them on."""
    return _page()


@bp.post("")
@needs(Right.OWN_ACCOUNT)
def change() -> ResponseReturnValue:
    """Change the full name and the e-mail address."""
    with current_services().database.transaction() as session:
        values = {name: request.form.get(name, "") for name in ("display_name", "email")}
        change_person(session, _person(session).name, **values)
    return done("Saved.", url_for("account.show"))


@bp.post("/password")
@needs(Right.OWN_ACCOUNT)
def password() -> ResponseReturnValue:
    """Change the password; all other browsers are signed out."""
    _only_here()
    count_attempt()
    visitor = current_visitor()
    try:
        with current_services().database.transaction() as session:
            person = _person(session)
            if person.password_hash and not password_fits(person.password_hash, request.form.get("old", "")):
                raise InputError.of("old", "old: this is not your present password.")
            if request.form.get("new", "") != request.form.get("again", ""):
                raise InputError.of("again", "again: the two new passwords differ; type the same twice.")
            here = visitor.by.id if visitor is not None and isinstance(visitor.by, SignIn) else None
            set_password(session, person.name, request.form.get("new", ""), keep_sign_in=here)
    except InputError as error:
        return _page(error)
    return done("The password is changed; all other browsers are signed out.", url_for("account.show"))


@bp.post("/tokens")
@needs(Right.OWN_ACCOUNT)
def create_token() -> ResponseReturnValue:
    """Make a token and show its secret, this once."""
    _only_here()
    try:
        settings = tokens.TokenSettings.parse(form_values(tokens.TokenSettings))
        with current_services().database.transaction() as session:
            token, secret = tokens.create_token(session, _person(session), settings)
    except CadenzaError as error:
        return _page(error)
    return _page(None, new_token=(token.name, secret))


@bp.post("/tokens/<number:token_id>/revoke")
@needs(Right.OWN_ACCOUNT)
def revoke_token(token_id: int) -> ResponseReturnValue:
    """End a token."""
    with current_services().database.transaction() as session:
        token = tokens.revoke_token(session, _person(session), token_id)
    return done(f"The token {token.name} is revoked.", url_for("account.show"), stay=True)


@bp.post("/sign-ins/<number:sign_in_id>/end")
@needs(Right.OWN_ACCOUNT)
def end_sign_in(sign_in_id: int) -> ResponseReturnValue:
    """Sign out in another browser."""
    with current_services().database.transaction() as session:
        sign_ins.end(session, _person(session), sign_in_id)
    return done("That browser is signed out.", url_for("account.show"), stay=True)


def _page(error: CadenzaError | None = None, new_token: tuple[str, str] | None = None) -> Response:
    services, visitor = current_services(), current_visitor()
    with services.database.reading() as session:
        person = get_person(session, current_actor().name) if services.accounts.on else None
        return page(
            "people/account.html",
            status=200 if error is None else problem_of(error).status,
            person=person,
            sign_ins=sign_ins.open_sign_ins(session, person) if person is not None else [],
            here=visitor.by.id if visitor is not None and isinstance(visitor.by, SignIn) else None,
            tokens=tokens.tokens_of(session, person) if person is not None else [],
            is_open=tokens.is_open,
            fields=form_fields(tokens.TokenSettings),
            values=dict(request.form) if error is not None else {},
            errors=field_errors(error),
            new_token=new_token,
            shortest=SHORTEST_PASSWORD,
            longest=LONGEST_PASSWORD,
        )


def _person(session: Session) -> Person:
    if not current_services().accounts.on:
        raise ConflictError("There are no accounts here yet; add the first administrator under People.")
    return get_person(session, current_actor().name)


def _only_here() -> None:
    """A stolen token must not be able to make itself last."""
    if current_actor().via != VIA_BROWSER:
        raise AccessError("This is done signed in, in a browser; a token cannot do it.")
