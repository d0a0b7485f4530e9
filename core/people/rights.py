"""Roles, the rights that they give, and the one on whose behalf something is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.errors import AccessError, SignInError

LOCAL_NAME = "local"
SYSTEM_NAME = "system"


class Right(StrEnum):
    """What somebody may do."""

    VIEW = "view"
    OWN_ACCOUNT = "own_account"
    CHANGE = "change"
    RAISE_PRIORITY = "raise_priority"
    CHANGE_OTHERS = "change_others"
    OPERATE = "operate"
    MANAGE_PEOPLE = "manage_people"
    READ_AUDIT = "read_audit"


class Role(StrEnum):
    """What a person is here; each role has all rights of the one before it."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMINISTRATOR = "administrator"


class Scope(StrEnum):
    """What a token may be used for."""

    READ = "read"
    WRITE = "write"


ROLE_RIGHTS: dict[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.VIEW, Right.OWN_ACCOUNT}),
    Role.MEMBER: frozenset({Right.VIEW, Right.OWN_ACCOUNT, Right.CHANGE}),
    Role.ADMINISTRATOR: frozenset(Right),
}
_BOTH = frozenset(Scope)
_OF_READING = frozenset({Right.VIEW, Right.READ_AUDIT})
_MEANING = {
    Right.VIEW: "look at anything here",
    Right.OWN_ACCOUNT: "change an account",
    Right.CHANGE: "start or change anything",
    Right.RAISE_PRIORITY: "raise a priority above normal",
    Right.CHANGE_OTHERS: "change what belongs to somebody else",
    Right.OPERATE: "pause queues or drain workers",
    Right.MANAGE_PEOPLE: "manage people and their limits",
    Right.READ_AUDIT: "read the audit log",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """On whose behalf something is done.

    Attributes:
        name: the owner of the jobs that this one submits.
        role: what this one is here.
        scopes: what the way in allows; a token may be for reading only.
        extra: rights beyond those of the role.
        sees_all: whether others' work is shown in full, or as "someone's job" only.
        via: the way in: "local", "session", a token's name, "system".
        address: where the request came from.
    """

    name: str
    role: Role
    scopes: frozenset[Scope] = _BOTH
    extra: frozenset[Right] = frozenset()
    sees_all: bool = True
    via: str = ""
    address: str = ""

    @property
    def rights(self) -> frozenset[Right]:
        """All that this one may do here."""
        rights = ROLE_RIGHTS[self.role] | self.extra
        if Scope.WRITE in self.scopes:
            return rights
        return rights & _OF_READING if Scope.READ in self.scopes else frozenset()

    def may(self, right: Right) -> bool:
        """Whether this one has `right`."""
        return right in self.rights

    def may_change(self, owner: str) -> bool:
        """Whether this one may change what belongs to `owner`."""
        return self.may(Right.CHANGE if owner == self.name else Right.CHANGE_OTHERS)

    def may_see(self, owner: str) -> bool:
        """Whether this one sees in full what belongs to `owner`."""
        return self.sees_all or owner == self.name

    def require(self, right: Right) -> None:
        """Refuse what this one may not do.

        Raises:
            AccessError: the right is missing; says which role has it. Answered as HTTP 403.
            SignInError: nobody is signed in.
        """
        if self.may(right):
            return
        if not self.scopes:
            raise SignInError("Sign in first, or send a token.")
        if right in ROLE_RIGHTS[self.role] | self.extra:
            raise AccessError(
                f"The token {self.via!r} is for reading only, so it may not {_MEANING[right]}; "
                "make one with the scope 'write'."
            )
        role = next(role for role in Role if right in ROLE_RIGHTS[role])
        article = "an" if role is Role.ADMINISTRATOR else "a"
        raise AccessError(f"{self.name} is a {self.role} here and may not {_MEANING[right]}; {article} {role} may.")

    def require_change(self, owner: str, what: str) -> None:
        """Refuse to change what belongs to somebody else.

        Args:
            owner: whose it is.
            what: it in words, such as "job 12".

        Raises:
            AccessError: it is another's, and this one may not change those; or may not change anything.
        """
        self.require(Right.CHANGE)
        if not self.may_change(owner):
            whose = owner if self.may_see(owner) else "somebody else"
            raise AccessError(
                f"{what.capitalize()} belongs to {whose}; only its owner and administrators may change it."
            )


LOCAL_ACTOR = Actor(LOCAL_NAME, Role.ADMINISTRATOR, via="local")
"""The one who uses an installation without accounts."""

NOBODY = Actor("anonymous", Role.VIEWER, scopes=frozenset(), sees_all=False)
"""One who is not signed in where accounts are on."""

SYSTEM_ACTOR = Actor(SYSTEM_NAME, Role.ADMINISTRATOR, via="system")
"""Cadenza itself: maintenance, workers, programs that run alone."""
