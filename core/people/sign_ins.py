"""Signing in and out: a secret in the browser's cookie, a row here, both gone at sign-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, joinedload

from core.errors import NotFoundError, SignInError
from core.models.base import utc_now
from core.models.people import Person, SignIn
from core.people.audit import acting, record
from core.people.passwords import hash_password, is_outdated, password_fits
from core.people.secrets import new_secret, secret_hash
from core.services.rows import storable

# Whoever never pauses signs in anew after this time all the same.
LONGEST = timedelta(days=30)
_SEEN_EVERY = timedelta(minutes=1)


def check_password(session: Session, name: str, password: str) -> Person:
    """The person of a name and password.

    Raises:
        SignInError: they do not fit, or the person is disabled; the message does not say which of these it is.
    """
    person = session.scalar(select(Person).where(Person.name == storable(name).strip().lower()))
    fits = password_fits(person.password_hash if person is not None else "", password)
    if person is None or not fits or person.disabled:
        raise SignInError("This name and password do not fit together, or the account is disabled.")
    if is_outdated(person.password_hash):
        person.password_hash = hash_password(password)
    return person


def begin(session: Session, person: Person, address: str = "", browser: str = "") -> str:
    """Sign a person in; the secret that the browser keeps.

    Raises:
        SignInError: the person is disabled.
    """
    if person.disabled:
        raise SignInError(f"The account {person.name!r} is disabled; ask an administrator.")
    secret = new_secret()
    session.add(
        SignIn(person_id=person.id, secret_hash=secret_hash(secret), address=address, browser=storable(browser)[:200])
    )
    session.execute(delete(SignIn).where(SignIn.created_at < utc_now() - LONGEST))
    person.seen_at = utc_now()
    session.info["actor"] = replace(acting(session), name=person.name, address=address)
    record(session, "person.sign_in", subject="person", number=person.id, title=person.name)
    return secret


def find_sign_in(session: Session, secret: str, idle: timedelta) -> SignIn | None:
    """The open sign-in of a secret with its person; None once it has ended, lain idle too long, or been disabled."""
    statement = select(SignIn).where(SignIn.secret_hash == secret_hash(secret)).options(joinedload(SignIn.person))
    found = session.scalar(statement)
    now = utc_now()
    if found is None or found.person.disabled or now - found.seen_at > idle or now - found.created_at > LONGEST:
        return None
    return found


def is_due(sign_in: SignIn) -> bool:
    """Whether it is time to note that it is still in use; not at every request."""
    return utc_now() - sign_in.seen_at > _SEEN_EVERY


def note_use(session: Session, sign_in: SignIn) -> None:
    """Write down that it is still in use."""
    now = utc_now()
    session.execute(update(SignIn).where(SignIn.id == sign_in.id).values(seen_at=now))
    session.execute(update(Person).where(Person.id == sign_in.person_id).values(seen_at=now))


def open_sign_ins(session: Session, person: Person) -> Sequence[SignIn]:
    """Where a person is signed in, the last used first."""
    return session.scalars(
        select(SignIn).where(SignIn.person_id == person.id).order_by(SignIn.seen_at.desc()).limit(100)
    ).all()


def end(session: Session, person: Person, sign_in_id: int) -> None:
    """Sign a person out in one browser.

    Raises:
        NotFoundError: this person is not signed in there.
    """
    found = session.scalar(select(SignIn).where(SignIn.id == sign_in_id, SignIn.person_id == person.id))
    if found is None:
        raise NotFoundError(f"You are not signed in under the number {sign_in_id} (any more).")
    session.delete(found)
    record(session, "person.sign_out", subject="person", number=person.id, title=person.name)
