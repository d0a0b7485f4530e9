"""Roles, rights and whose things are whose."""

from __future__ import annotations

import pytest

from core.errors import AccessError
from core.people.rights import LOCAL_ACTOR, Actor, Right, Role, Scope

VIEWER = Actor("vera", Role.VIEWER)
MEMBER = Actor("mia", Role.MEMBER)
ADMINISTRATOR = Actor("ada", Role.ADMINISTRATOR)


def test_each_role_has_all_rights_of_the_one_before_it() -> None:
    assert VIEWER.rights < MEMBER.rights < ADMINISTRATOR.rights == LOCAL_ACTOR.rights == set(Right)


def test_one_person_may_have_a_right_beyond_the_role() -> None:
    urgent = Actor("mia", Role.MEMBER, extra=frozenset({Right.RAISE_PRIORITY}))
    urgent.require(Right.RAISE_PRIORITY)
    with pytest.raises(AccessError, match=r"mia is a member here and may not raise a priority.*an administrator may"):
        MEMBER.require(Right.RAISE_PRIORITY)


def test_a_token_for_reading_reads_only_and_says_so() -> None:
    reading = Actor("ada", Role.ADMINISTRATOR, scopes=frozenset({Scope.READ}), via="plots")
    reading.require(Right.VIEW)
    reading.require(Right.READ_AUDIT)
    with pytest.raises(AccessError, match=r"'plots' is for reading only.*scope 'write'"):
        reading.require(Right.CHANGE)
    assert not reading.may_change("ada")


def test_only_owners_and_administrators_change_a_thing() -> None:
    MEMBER.require_change("mia", "job 12")
    ADMINISTRATOR.require_change("mia", "job 12")
    with pytest.raises(AccessError, match="Job 12 belongs to ada; only its owner and administrators"):
        MEMBER.require_change("ada", "job 12")
    with pytest.raises(AccessError, match="vera is a viewer here and may not start or change"):
        VIEWER.require_change("vera", "job 12")


def test_a_refusal_names_nobody_whose_work_is_not_shown() -> None:
    hidden = Actor("mia", Role.MEMBER, sees_all=False)
    with pytest.raises(AccessError, match="Job 12 belongs to somebody else"):
        hidden.require_change("ada", "job 12")
    assert hidden.may_see("mia")
    assert not hidden.may_see("ada")
