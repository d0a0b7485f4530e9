"""Passwords: what is accepted, how they are kept (Argon2id), how they are checked."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from core.errors import InputError

SHORTEST_PASSWORD = 10
# Longer texts only cost the server time.
LONGEST_PASSWORD = 200


def hash_password(password: str, name: str = "", field: str = "password") -> str:
    """A password as it is stored: Argon2id with RFC 9106's second choice of costs (64 MiB, 3 rounds).

    Args:
        password: as the person typed it.
        name: the person's; a password that is the name is refused.
        field: what the form calls it.

    Raises:
        InputError: too short, too long, the name, or one character over and over. The message never quotes it.
    """
    length = len(password)
    if not SHORTEST_PASSWORD <= length <= LONGEST_PASSWORD:
        raise InputError.of(
            field,
            f"{field}: {length} characters are refused; allowed is {SHORTEST_PASSWORD} to {LONGEST_PASSWORD}. "
            "A few words in a row are easy to remember.",
        )
    if password.casefold() == name.casefold() or len(set(password)) < 4:
        raise InputError.of(field, f"{field}: this one is guessed at once; take a few words in a row.")
    return PasswordHasher().hash(password)


def password_fits(stored: str, password: str) -> bool:
    """Whether `password` is the one that was stored; takes as long where none is stored as where one is."""
    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        return PasswordHasher().verify(stored or _nobodys(), password) and bool(stored)
    except (Argon2Error, InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Whether it was hashed with other costs than today's, so that it should be hashed anew."""
    return PasswordHasher().check_needs_rehash(stored)


@cache
def _nobodys() -> str:
    """A hash that nobody's password has: asking for a name that does not exist takes as long as for one that does."""
    return PasswordHasher().hash("\0nobody")
