"""How a request is recognised: by the cookie of a sign-in or by a token, through Flask-Login."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from flask import Flask, Request, request, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from sqlalchemy.exc import SQLAlchemyError

from core.models.people import ApiToken, Person, SignIn
from core.people import sign_ins, tokens
from core.people.rights import LOCAL_ACTOR, NOBODY, Actor, Right, Role, Scope
from webui.context import current_services

VIA_BROWSER = "browser"


class Visitor(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """One who is signed in, and by what."""

    def __init__(self, person: Person, secret: str, by: SignIn | ApiToken | None) -> None:
        self.person = person
        self.by = by
        self._secret = secret

    def get_id(self) -> str:
        """What the signed cookie keeps."""
        return self._secret


def attach_sign_in(app: Flask) -> None:
    """Let Flask-Login recognise people by their cookie or their token."""
    manager = LoginManager()
    # The sign-in is a row that is checked at every request; a changed address alone ends nothing.
    manager.session_protection = None
    manager.user_loader(_by_cookie)
    manager.request_loader(_by_token)
    manager.init_app(app)


def actor_of_request() -> Actor:
    """Who asks: the local user where there are no accounts, else the one who is signed in, else nobody."""
    services = current_services()
    address = request.remote_addr or ""
    if not services.accounts.on:
        return Actor(LOCAL_ACTOR.name, LOCAL_ACTOR.role, via=LOCAL_ACTOR.via, address=address)
    visitor = current_visitor()
    if visitor is None:
        return Actor(NOBODY.name, NOBODY.role, scopes=frozenset(), sees_all=False, address=address)
    person, token = visitor.person, visitor.by if isinstance(visitor.by, ApiToken) else None
    reads_only = token is not None and token.scope is Scope.READ
    return Actor(
        name=person.name,
        role=person.role,
        scopes=frozenset({Scope.READ} if reads_only else Scope),
        extra=frozenset(Right(right) for right in person.extra_rights),
        sees_all=services.settings.others_jobs == "full" or person.role is Role.ADMINISTRATOR,
        via=VIA_BROWSER if token is None else token.name,
        address=address,
    )


def current_visitor() -> Visitor | None:
    """The one who is signed in; None where nobody is, or where there are no accounts."""
    return current_user._get_current_object() if current_user.is_authenticated else None  # its proxy


def still_here() -> Callable[[], bool]:
    """Tells, long after this request has begun, whether the one who asked it may still be here."""
    services, visitor = current_services(), current_visitor()
    if visitor is None:
        return lambda: not services.accounts.on
    secret, by_token = visitor.get_id(), isinstance(visitor.by, ApiToken)
    idle = timedelta(hours=services.settings.sign_in_idle_hours)

    def look() -> bool:
        with services.database.reading() as reading:
            if by_token:
                return tokens.find_token(reading, secret) is not None
            return sign_ins.find_sign_in(reading, secret, idle) is not None

    return look


def welcome(person: Person, secret: str) -> None:
    """Keep a new sign-in in the browser; whatever the cookie held before is gone, so nobody can have planted it."""
    session.clear()
    login_user(Visitor(person, secret, None))


def goodbye() -> None:
    """Forget the sign-in and everything else that the cookie holds."""
    logout_user()
    session.clear()


def _by_cookie(secret: str) -> Visitor | None:
    services = current_services()
    if not services.accounts.on:
        return None
    idle = timedelta(hours=services.settings.sign_in_idle_hours)
    with services.database.reading() as reading:
        found = sign_ins.find_sign_in(reading, secret, idle)
    if found is None:
        return None
    if sign_ins.is_due(found):
        with suppress(SQLAlchemyError), services.database.transaction() as writing:
            sign_ins.note_use(writing, found)
    return Visitor(found.person, secret, found)


def _by_token(asked: Request) -> Visitor | None:
    services = current_services()
    said = re.fullmatch(r"(?i:bearer) +(\S{1,200})", asked.headers.get("Authorization", ""))
    if said is None or not services.accounts.on:
        return None
    with services.database.reading() as reading:
        token = tokens.find_token(reading, said[1])
    if token is None:
        return None
    if tokens.is_due(token):
        with suppress(SQLAlchemyError), services.database.transaction() as writing:
            tokens.note_use(writing, token)
    return Visitor(token.person, said[1], token)
