"""People, tokens, who asks, and the audit log."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field

from core.fields import setting
from core.models.people import ApiToken, AuditEntry, Person
from core.people.rights import Actor, Right, Role, Scope
from core.people.tokens import TokenSettings
from webui.api.schemas.common import ApiInput, ApiOutput, Listing, Moment, PageQuery, SearchQuery
from webui.row_numbers import LARGEST_NUMBER


class MeOutput(ApiOutput):
    """On whose behalf a request is answered."""

    name: str = Field(description="The owner of what this one submits.")
    role: Role
    rights: list[Right]
    via: str = Field(description='"local" without accounts, "browser", or the name of a token.')

    @classmethod
    def of(cls, actor: Actor) -> Self:
        """An actor as the API shows it."""
        return cls(name=actor.name, role=actor.role, rights=sorted(actor.rights), via=actor.via)


class TokenInput(TokenSettings, ApiInput):
    """A new token."""


class TokenOutput(ApiOutput):
    """A token without its secret."""

    id: int
    name: str
    scope: Scope
    hint: str = Field(description="Its first characters.")
    created_at: Moment
    expires_at: Moment
    used_at: Moment | None
    revoked_at: Moment | None

    @classmethod
    def of(cls, token: ApiToken) -> Self:
        """A token as the API shows it."""
        return cls(**{name: getattr(token, name) for name in TokenOutput.model_fields})


class NewTokenOutput(TokenOutput):
    """A new token with its secret, which is never shown again."""

    secret: str


class TokensOutput(ApiOutput):
    """One's own tokens, the newest first."""

    items: list[TokenOutput]


class PersonInput(ApiInput):
    """A new person."""

    name: str = setting(..., "Name", "The name to sign in with.", min_length=1, max_length=64)
    role: str = setting("member", "Role", f"One of {', '.join(Role)}.", max_length=20)
    password: str = setting(..., "Password", "10 to 200 characters.", max_length=500)
    display_name: str = setting("", "Full name", max_length=120)
    email: str = setting("", "E-mail", max_length=254)


class PersonPatch(ApiInput):
    """What to change about a person; what is left out stays."""

    role: str | None = setting(None, "Role", f"One of {', '.join(Role)}.", max_length=20)
    display_name: str | None = setting(None, "Full name", max_length=120)
    email: str | None = setting(None, "E-mail", max_length=254)
    disabled: bool | None = setting(None, "Disabled", "Nobody gets in under a disabled name.")
    extra_rights: list[str] | None = setting(None, "Extra rights", "Rights beyond the role's.", max_length=10)
    password: str | None = setting(None, "Password", "Another password; signs out everywhere.", max_length=500)


class PersonOutput(ApiOutput):
    """A person."""

    name: str
    display_name: str
    email: str
    role: Role
    extra_rights: list[str]
    disabled: bool
    created_at: Moment
    seen_at: Moment | None

    @classmethod
    def of(cls, person: Person) -> Self:
        """A person as the API shows it."""
        return cls(**{name: getattr(person, name) for name in cls.model_fields})


class PersonListing(Listing[PersonOutput]):
    """A page of people."""


class PeopleQuery(SearchQuery):
    """Which people."""


class AuditQuery(PageQuery):
    """Which entries of the audit log."""

    actor: str = setting("", "Actor", "Only what this one did.", max_length=64)
    action: str = setting("", "Action", 'Such as "job.cancel", or "job." for all of jobs.', max_length=60)
    search: str = setting("", "Search", "Only what was done to things whose title has this text.", max_length=200)
    subject: str = setting("", "Subject", 'A kind of thing, such as "job".', max_length=40)
    number: int = setting(0, "Number", "The thing's number; 0 for any.", ge=0, le=LARGEST_NUMBER)
    since: str = setting("", "Since", "Only from this moment on, ISO 8601; in UTC without a zone.", max_length=40)
    until: str = setting("", "Until", "Only before this moment.", max_length=40)


class AuditOutput(ApiOutput):
    """One act."""

    id: int
    at: Moment
    actor: str
    via: str
    address: str
    action: str
    subject: str
    number: int | None
    title: str
    detail: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """An entry as the API shows it."""
        return cls(**{name: getattr(entry, name) for name in cls.model_fields})


class AuditListing(Listing[AuditOutput]):
    """A page of the audit log."""
