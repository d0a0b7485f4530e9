"""People: add, look up, change, disable. With the first of them, accounts are on."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from core.errors import ConflictError, InputError, NotFoundError
from core.models.base import utc_now
from core.models.people import ApiToken, Person, SignIn
from core.people.audit import record
from core.people.passwords import hash_password
from core.people.rights import LOCAL_NAME, SYSTEM_NAME, Right, Role
from core.records.database import announce
from core.services.paging import Page, fetch_page
from core.services.rows import locked, storable

LONGEST_NAME = 64
GRANTABLE = (Right.RAISE_PRIORITY,)
"""Rights that an administrator may give to one person beyond the role."""
RESERVED_NAMES = frozenset({LOCAL_NAME, SYSTEM_NAME, "someone", "anonymous", "everybody"})
"""Names that mean something else than a person."""


def accounts_are_on(session: Session) -> bool:
    """Whether people sign in here: as soon as there is one."""
    return session.scalar(select(Person.id).limit(1)) is not None


def add_person(
    session: Session,
    *,
    name: str,
    role: str = Role.MEMBER,
    password: str = "",
    display_name: str = "",
    email: str = "",
    subject: str | None = None,
) -> Person:
    """Add a person; the first one must be an administrator, since from then on everybody has to sign in.

    Raises:
        InputError: a name that is taken or not allowed, an unknown role, a weak password.
        ConflictError: the first person is no administrator.
    """
    name = check_person_name(name)
    chosen = role_of(role)
    if session.scalar(select(Person.id).where(Person.name == name)) is not None:
        raise InputError.of("name", f"name: {name!r} is taken; choose another.")
    if chosen is not Role.ADMINISTRATOR and not accounts_are_on(session):
        raise ConflictError(f"The first person must be an administrator, not a {chosen}: nobody else could add others.")
    person = Person(
        name=name,
        display_name=_line(display_name, "display_name"),
        email=check_email(email),
        role=chosen,
        password_hash=hash_password(password, name) if password or subject is None else "",
        subject=subject,
    )
    session.add(person)
    session.flush()
    record(session, "person.add", subject="person", number=person.id, title=name, role=chosen.value)
    announce(session, "people")
    return person


def get_person(session: Session, name: str) -> Person:
    """The person of a name.

    Raises:
        NotFoundError: there is none.
    """
    person = session.scalar(select(Person).where(Person.name == storable(name)))
    if person is None:
        raise NotFoundError(f"There is no person {name[:LONGEST_NAME]!r}.")
    return person


def find_people(session: Session, *, search: str = "", page: int = 1, per_page: int = 50) -> Page[Person]:
    """People whose name, full name or e-mail address contains `search`, by name."""
    statement = select(Person).order_by(Person.name)
    if words := storable(search).strip():
        columns = (Person.name, Person.display_name, Person.email)
        statement = statement.where(or_(*(column.icontains(words, autoescape=True) for column in columns)))
    return fetch_page(session, statement, page=page, per_page=per_page)


def change_person(session: Session, name: str, **changes: Any) -> Person:
    """Change a person's `display_name`, `email`, `role`, `disabled` or `extra_rights`.

    Whoever loses rights is signed out everywhere, and whoever is disabled loses all tokens too.

    Raises:
        NotFoundError: there is no such person.
        InputError: a value that is not allowed.
        ConflictError: the last administrator would be gone.
    """
    person = _locked_person(session, name)
    before = {"role": person.role.value, "disabled": person.disabled, "extra_rights": list(person.extra_rights)}
    if "display_name" in changes:
        person.display_name = _line(changes["display_name"], "display_name")
    if "email" in changes:
        person.email = check_email(changes["email"])
    if "role" in changes:
        person.role = role_of(changes["role"])
    if "extra_rights" in changes:
        person.extra_rights = sorted({_grantable(right) for right in changes["extra_rights"]})
    if "disabled" in changes:
        person.disabled = bool(changes["disabled"])
    session.flush()
    if _administrators(session) == 0:
        raise ConflictError(f"{person.name} is the last administrator; make somebody else one first.")
    if person.disabled and not before["disabled"]:
        revoke_everything(session, person)
    after = {"role": person.role.value, "disabled": person.disabled, "extra_rights": list(person.extra_rights)}
    changed = {key: value for key, value in after.items() if value != before[key]}
    record(session, "person.change", subject="person", number=person.id, title=person.name, **changed)
    announce(session, "people")
    return person


def set_password(session: Session, name: str, password: str, *, keep_sign_in: int | None = None) -> Person:
    """Give a person another password and sign this person out everywhere, except in the browser of `keep_sign_in`.

    Raises:
        NotFoundError: there is no such person.
        InputError: the password is not accepted.
    """
    person = _locked_person(session, name)
    person.password_hash = hash_password(password, person.name)
    others = delete(SignIn).where(SignIn.person_id == person.id)
    session.execute(others if keep_sign_in is None else others.where(SignIn.id != keep_sign_in))
    record(session, "person.password", subject="person", number=person.id, title=person.name)
    return person


def sign_out_everywhere(session: Session, name: str) -> Person:
    """Sign a person out everywhere and revoke all tokens.

    Raises:
        NotFoundError: there is no such person.
    """
    person = _locked_person(session, name)
    revoke_everything(session, person)
    record(session, "person.sign_out_everywhere", subject="person", number=person.id, title=person.name)
    return person


def revoke_everything(session: Session, person: Person) -> None:
    """Sign a person out everywhere and revoke all tokens."""
    session.execute(delete(SignIn).where(SignIn.person_id == person.id))
    open_tokens = update(ApiToken).where(ApiToken.person_id == person.id, ApiToken.revoked_at.is_(None))
    session.execute(open_tokens.values(revoked_at=utc_now()).execution_options(synchronize_session=False))


def check_person_name(name: str) -> str:
    """A name as stored: lower case, 1 to 64 letters, digits and `.-_@`.

    Raises:
        InputError: something else, or a reserved one.
    """
    cleaned = name.strip().lower()
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?", cleaned):
        raise InputError.of(
            "name",
            f"name: {name[:80]!r} is refused; allowed are 1 to {LONGEST_NAME} letters a to z, digits and . - _ @, "
            "with a letter or digit at both ends.",
        )
    if cleaned in RESERVED_NAMES:
        raise InputError.of("name", f"name: {cleaned!r} has a meaning of its own here; choose another.")
    return cleaned


def check_email(email: str) -> str:
    """An e-mail address as stored, or empty.

    Raises:
        InputError: it cannot be one.
    """
    cleaned = storable(email).strip()
    if cleaned and (len(cleaned) > 254 or not re.fullmatch(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+", cleaned)):
        raise InputError.of("email", f"email: {cleaned[:80]!r} is no e-mail address; write one, or leave it empty.")
    return cleaned


def role_of(text: str) -> Role:
    """The role of this name.

    Raises:
        InputError: there is none.
    """
    try:
        return Role(text)
    except ValueError:
        raise InputError.of("role", f"role: {text[:40]!r} is unknown; allowed are {', '.join(Role)}.") from None


def _grantable(text: str) -> str:
    if text not in GRANTABLE:
        allowed = ", ".join(GRANTABLE)
        raise InputError.of("extra_rights", f"extra_rights: {text[:40]!r} cannot be given; allowed is {allowed}.")
    return Right(text).value


def _line(text: str, field: str, longest: int = 120) -> str:
    cleaned = " ".join(storable(text).split())
    if len(cleaned) > longest:
        raise InputError.of(field, f"{field}: {len(cleaned)} characters are refused; allowed is at most {longest}.")
    return cleaned


def _locked_person(session: Session, name: str) -> Person:
    # All administrators at once: of two who disable each other at the same moment, the second finds the first gone.
    session.execute(select(Person.id).where(Person.role == Role.ADMINISTRATOR).order_by(Person.id).with_for_update())
    person = locked(session, Person, get_person(session, name).id)
    if person is None:
        raise NotFoundError(f"There is no person {name[:LONGEST_NAME]!r}.")
    return person


def _administrators(session: Session) -> int:
    statement = select(func.count(Person.id)).where(Person.role == Role.ADMINISTRATOR, Person.disabled.is_(False))
    return session.scalar(statement) or 0
