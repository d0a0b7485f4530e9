"""People, for administrators: the list, adding one, one with role, password, tokens and limits."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, request, url_for
from flask.typing import ResponseReturnValue

from core.errors import CadenzaError
from core.people import accounts, sign_ins, tokens
from core.people.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD
from core.people.rights import Right, Role
from core.services.jobs import find_jobs
from webui.access import needs
from webui.context import current_services
from webui.forms import field_errors
from webui.identity import current_actor
from webui.pages.answers import done, number_arg, page
from webui.problems import problem_of
from webui.sign_in import welcome

bp = Blueprint("people", __name__, url_prefix="/people")

ROLE_WORDS = {
    Role.VIEWER: ("Viewer", "looks, listens and downloads"),
    Role.MEMBER: ("Member", "imports, trains and generates, and changes what is theirs"),
    Role.ADMINISTRATOR: ("Administrator", "changes everything, and manages people and queues"),
}
_JOBS_SHOWN = 8


@bp.get("")
@needs(Right.MANAGE_PEOPLE)
def index() -> Response:
    """Everybody; without accounts, the form that turns them on."""
    return _index(None)


@bp.post("")
@needs(Right.MANAGE_PEOPLE)
def add() -> ResponseReturnValue:
    """Add a person. The first is the administrator who adds the others, and is signed in at once."""
    services = current_services()
    first = not services.accounts.on
    values = {name: request.form.get(name, "") for name in ("name", "role", "password", "display_name", "email")}
    secret = ""
    try:
        with services.database.transaction() as session:
            person = accounts.add_person(session, **values)
            if first:
                secret = sign_ins.begin(session, person, request.remote_addr or "", request.user_agent.string)
    except CadenzaError as error:
        return _index(error)
    services.accounts.look_again()
    if first:
        welcome(person, secret)
    words = "Accounts are on; you are signed in as" if first else "There is an account for"
    return done(f"{words} {person.name}.", url_for("people.show", name=person.name))


@bp.get("/<name>")
@needs(Right.MANAGE_PEOPLE)
def show(name: str) -> Response:
    """One person."""
    return _show(name, None)


@bp.post("/<name>")
@needs(Right.MANAGE_PEOPLE)
def change(name: str) -> ResponseReturnValue:
    """Change full name, e-mail address, role and rights."""
    try:
        with current_services().database.transaction() as session:
            person = accounts.change_person(
                session,
                name,
                display_name=request.form.get("display_name", ""),
                email=request.form.get("email", ""),
                role=request.form.get("role", ""),
                extra_rights=request.form.getlist("extra_rights"),
            )
    except CadenzaError as error:
        return _show(name, error)
    return done(f"{person.name} is changed.", url_for("people.show", name=person.name))


@bp.post("/<name>/password")
@needs(Right.MANAGE_PEOPLE)
def password(name: str) -> ResponseReturnValue:
    """Give another password, for one who forgot it."""
    try:
        with current_services().database.transaction() as session:
            person = accounts.set_password(session, name, request.form.get("password", ""))
    except CadenzaError as error:
        return _show(name, error)
    return done(f"{person.name} has another password and is signed out everywhere.", url_for("people.show", name=name))


@bp.post("/<name>/disable")
@needs(Right.MANAGE_PEOPLE)
def disable(name: str) -> ResponseReturnValue:
    """Let nobody in under this name; what the person made stays."""
    with current_services().database.transaction() as session:
        accounts.change_person(session, name, disabled=True)
    return done(f"{name} is disabled, signed out everywhere, and has no token any more.", _address(name))


@bp.post("/<name>/enable")
@needs(Right.MANAGE_PEOPLE)
def enable(name: str) -> ResponseReturnValue:
    """Let the person in again."""
    with current_services().database.transaction() as session:
        accounts.change_person(session, name, disabled=False)
    return done(f"{name} can sign in again.", _address(name))


@bp.post("/<name>/sign-out")
@needs(Right.MANAGE_PEOPLE)
def sign_out(name: str) -> ResponseReturnValue:
    """Sign the person out everywhere and revoke all tokens."""
    with current_services().database.transaction() as session:
        accounts.sign_out_everywhere(session, name)
    return done(f"{name} is signed out everywhere and has no token any more.", _address(name))


def _index(error: CadenzaError | None) -> Response:
    search = request.args.get("search", "")
    services = current_services()
    with services.database.reading() as session:
        return page(
            "people/index.html",
            status=200 if error is None else problem_of(error).status,
            found=accounts.find_people(session, search=search, page=number_arg("page"), per_page=50),
            search=search,
            roles=ROLE_WORDS,
            values=dict(request.form) if error is not None else {},
            errors=field_errors(error),
            shortest=SHORTEST_PASSWORD,
            longest=LONGEST_PASSWORD,
        )


def _show(name: str, error: CadenzaError | None) -> Response:
    with current_services().database.reading() as session:
        person = accounts.get_person(session, name)
        return page(
            "people/show.html",
            status=200 if error is None else problem_of(error).status,
            person=person,
            sign_ins=sign_ins.open_sign_ins(session, person),
            tokens=[token for token in tokens.tokens_of(session, person) if tokens.is_open(token)],
            jobs=find_jobs(session, owner=person.name, per_page=_JOBS_SHOWN),
            is_self=person.name == current_actor().name,
            roles=ROLE_WORDS,
            grantable=accounts.GRANTABLE,
            errors=field_errors(error),
            limits_url=_limits_url(person.name),
            shortest=SHORTEST_PASSWORD,
            longest=LONGEST_PASSWORD,
        )


def _limits_url(name: str) -> str:
    return url_for("limits.show", name=name) if "limits.show" in current_app.view_functions else ""


def _address(name: str) -> str:
    return url_for("people.show", name=name)
