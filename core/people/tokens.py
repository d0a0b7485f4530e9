"""Personal tokens: keys for programs, for reading or also for writing, that end by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, joinedload

from core.errors import ConflictError, NotFoundError
from core.fields import PersonSettings, setting
from core.models.base import utc_now
from core.models.people import ApiToken, Person
from core.people.audit import record
from core.people.rights import Scope
from core.people.secrets import TOKEN_PREFIX, new_secret, secret_hash
from core.services.rows import storable

MOST_TOKENS = 50
_USED_EVERY = timedelta(minutes=1)


class TokenSettings(PersonSettings):
    """What a person chooses about a new token."""

    name: str = setting(
        ..., "Name", "What it is for, such as the program that will use it.", min_length=1, max_length=60
    )
    scope: Literal["read", "write"] = setting(
        "read",
        "May",
        "A token for reading can look, listen and download.",
        choices={"read": "read only", "write": "read and write"},
    )
    days: int = setting(90, "Valid for", "It ends by itself after this time.", unit="days", ge=1, le=365)


def create_token(session: Session, person: Person, settings: TokenSettings) -> tuple[ApiToken, str]:
    """A new token and its secret, which is shown once and never stored.

    Raises:
        ConflictError: the person has `MOST_TOKENS` open ones.
    """
    now = utc_now()
    still_open = select(func.count(ApiToken.id)).where(
        ApiToken.person_id == person.id, ApiToken.revoked_at.is_(None), ApiToken.expires_at > now
    )
    if (session.scalar(still_open) or 0) >= MOST_TOKENS:
        raise ConflictError(f"There are {MOST_TOKENS} open tokens already; revoke one first.")
    secret = TOKEN_PREFIX + new_secret()
    token = ApiToken(
        person_id=person.id,
        name=storable(settings.name),
        scope=Scope(settings.scope),
        secret_hash=secret_hash(secret),
        hint=secret[: len(TOKEN_PREFIX) + 4],
        expires_at=now + timedelta(days=settings.days),
    )
    session.add(token)
    session.flush()
    record(session, "token.create", subject="token", number=token.id, title=token.name, scope=settings.scope)
    return token, secret


def find_token(session: Session, secret: str) -> ApiToken | None:
    """The token of a secret with its person; None once it has ended, or its person is disabled."""
    statement = select(ApiToken).where(ApiToken.secret_hash == secret_hash(secret))
    token = session.scalar(statement.options(joinedload(ApiToken.person)))
    if token is None or token.person.disabled or not is_open(token):
        return None
    return token


def is_open(token: ApiToken) -> bool:
    """Whether it is neither revoked nor past its time."""
    return token.revoked_at is None and token.expires_at > utc_now()


def is_due(token: ApiToken) -> bool:
    """Whether it is time to note that it is in use; not at every request."""
    return token.used_at is None or utc_now() - token.used_at > _USED_EVERY


def note_use(session: Session, token: ApiToken) -> None:
    """Write down that it is in use."""
    now = utc_now()
    session.execute(update(ApiToken).where(ApiToken.id == token.id).values(used_at=now))
    session.execute(update(Person).where(Person.id == token.person_id).values(seen_at=now))


def tokens_of(session: Session, person: Person) -> Sequence[ApiToken]:
    """A person's tokens, the newest first, those that have ended too."""
    return session.scalars(
        select(ApiToken).where(ApiToken.person_id == person.id).order_by(ApiToken.id.desc()).limit(200)
    ).all()


def revoke_token(session: Session, person: Person, token_id: int) -> ApiToken:
    """End a token at once.

    Raises:
        NotFoundError: this person has no such token.
    """
    token = session.scalar(
        select(ApiToken).where(ApiToken.id == token_id, ApiToken.person_id == person.id).with_for_update()
    )
    if token is None:
        raise NotFoundError(f"You have no token {token_id}.")
    if token.revoked_at is None:
        token.revoked_at = utc_now()
        record(session, "token.revoke", subject="token", number=token.id, title=token.name)
    return token
