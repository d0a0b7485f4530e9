"""Signing in and out."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from core.errors import CadenzaError, SignInError
from core.models.people import Person
from core.people import sign_ins
from core.people.audit import record
from core.people.rights import Right
from webui.access import needs, public
from webui.context import current_services
from webui.limits import count_attempt
from webui.pages.answers import page
from webui.problems import problem_of
from webui.provider import claims_of_provider, go_to_provider, has_provider, person_of_claims
from webui.sign_in import current_visitor, goodbye, welcome

bp = Blueprint("sign_in", __name__)

_NEXT = "next"


@bp.get("/sign-in")
@public
def form() -> ResponseReturnValue:
    """Name and password, or the provider."""
    wanted = safe_next(request.args.get(_NEXT, ""))
    if not current_services().accounts.on or current_visitor() is not None:
        return redirect(wanted)
    return _form(wanted, None)


@bp.post("/sign-in")
@public
def sign_in() -> ResponseReturnValue:
    """Check name and password; a wrong pair is counted and written down."""
    services = current_services()
    wanted, name = safe_next(request.form.get(_NEXT, "")), request.form.get("name", "")
    if not services.accounts.on:
        return redirect(wanted)
    count_attempt()
    try:
        with services.database.transaction() as writing:
            person = sign_ins.check_password(writing, name, request.form.get("password", ""))
            secret = _begin(writing, person)
    except SignInError as error:
        with services.database.transaction() as writing:
            record(writing, "person.refused", subject="person", title=name[:64])
        return _form(wanted, error, name)
    welcome(person, secret)
    return redirect(wanted, 303)


@bp.post("/sign-out")
@needs(Right.VIEW)
def sign_out() -> ResponseReturnValue:
    """End this browser's sign-in, here and in the database."""
    visitor = current_visitor()
    if visitor is not None and visitor.by is not None:
        with current_services().database.transaction() as writing:
            sign_ins.end(writing, visitor.person, visitor.by.id)
    goodbye()
    return redirect(url_for("sign_in.form"), 303)


@bp.get("/sign-in/provider")
@public
def to_provider() -> ResponseReturnValue:
    """Off to the OpenID provider."""
    if not has_provider():
        return redirect(url_for("sign_in.form"))
    count_attempt()
    # A fresh session: what is kept for the way back cannot have been planted.
    session.clear()
    session[_NEXT] = safe_next(request.args.get(_NEXT, ""))
    base = current_services().settings.public_url.rstrip("/") or request.host_url.rstrip("/")
    try:
        return go_to_provider(base + url_for("sign_in.from_provider"))
    except SignInError as error:
        return _form(session[_NEXT], error)


@bp.get("/sign-in/provider/back")
@public
def from_provider() -> ResponseReturnValue:
    """Back from the OpenID provider."""
    wanted = safe_next(str(session.get(_NEXT, "")))
    if not has_provider():
        return redirect(url_for("sign_in.form"))
    count_attempt()
    try:
        claims = claims_of_provider()
        with current_services().database.transaction() as writing:
            person = person_of_claims(writing, claims)
            secret = _begin(writing, person)
    except CadenzaError as error:
        return _form(wanted, error)
    welcome(person, secret)
    return redirect(wanted, 303)


def safe_next(wanted: str) -> str:
    """Where to go after signing in: an address of this server and nothing else, else the overview."""
    # Browsers leave tabs and line ends out of addresses and read a backslash as a slash: none of these is in ours.
    plain = wanted.isascii() and wanted.isprintable() and "\\" not in wanted
    parts = urlsplit(wanted if plain else "")
    is_path = wanted.startswith("/") and not wanted.startswith(("//", "/sign-"))
    if plain and is_path and not parts.scheme and not parts.netloc:
        return wanted
    return url_for("overview.index")


def _begin(writing: Session, person: Person) -> str:
    return sign_ins.begin(writing, person, request.remote_addr or "", request.user_agent.string)


def _form(wanted: str, error: CadenzaError | None, name: str = "") -> Response:
    settings = current_services().settings
    return page(
        "people/sign_in.html",
        status=200 if error is None else problem_of(error).status,
        wanted=wanted,
        error=error,
        name=name,
        provider=settings.oidc_label if has_provider() else "",
    )
