"""People, how they are signed in, their tokens, and the record of what was done."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.models.base import NEVER_REUSE_IDS, Base, utc_now
from core.models.jobs import text_enum
from core.people.rights import Role, Scope


class Person(Base):
    """Somebody with an account. `name` owns what this person submits and never changes.

    `password_hash` is Argon2's own text, or empty for one who signs in through an OpenID provider alone; `subject` is
    then the provider's address and its number for the person. `extra_rights` are `Right` values beyond the role's.
    """

    __tablename__ = "person"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    display_name: Mapped[str] = mapped_column(Text, default="")
    email: Mapped[str] = mapped_column(Text, default="")
    role: Mapped[Role] = mapped_column(text_enum(Role))
    extra_rights: Mapped[list[Any]] = mapped_column(default=list)
    password_hash: Mapped[str] = mapped_column(Text, default="")
    subject: Mapped[str | None] = mapped_column(Text)
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    seen_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_person_name", "name", unique=True),
        Index("ix_person_subject", "subject", unique=True),
        NEVER_REUSE_IDS,
    )


class SignIn(Base):
    """One browser in which a person is signed in; the cookie holds the secret, this row its SHA-256."""

    __tablename__ = "sign_in"

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    secret_hash: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text, default="")
    browser: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    seen_at: Mapped[datetime] = mapped_column(default=utc_now)

    person: Mapped[Person] = relationship()

    __table_args__ = (
        Index("ix_sign_in_secret_hash", "secret_hash", unique=True),
        Index("ix_sign_in_person_id", "person_id"),
        Index("ix_sign_in_seen_at", "seen_at"),
        NEVER_REUSE_IDS,
    )


class ApiToken(Base):
    """A person's key for programs. Only its SHA-256 is stored; `hint` is its beginning, to tell one from another."""

    __tablename__ = "api_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)
    scope: Mapped[Scope] = mapped_column(text_enum(Scope))
    secret_hash: Mapped[str] = mapped_column(Text)
    hint: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    person: Mapped[Person] = relationship()

    __table_args__ = (
        Index("ix_api_token_secret_hash", "secret_hash", unique=True),
        Index("ix_api_token_person_id", "person_id"),
        NEVER_REUSE_IDS,
    )


class AuditEntry(Base):
    """One act: who did what to what, and by which way in. Written in the act's own transaction, never changed."""

    __tablename__ = "audit_entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=utc_now)
    actor: Mapped[str] = mapped_column(Text)
    via: Mapped[str] = mapped_column(Text, default="")
    address: Mapped[str] = mapped_column(Text, default="")
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text, default="")
    number: Mapped[int | None]
    title: Mapped[str] = mapped_column(Text, default="")
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)

    __table_args__ = (
        Index("ix_audit_entry_actor_id", "actor", "id"),
        Index("ix_audit_entry_action_id", "action", "id"),
        Index("ix_audit_entry_subject_number_id", "subject", "number", "id"),
        Index("ix_audit_entry_at", "at"),
        NEVER_REUSE_IDS,
    )
