"""Secrets that programs and cookies carry: long, random, and kept only as a digest."""

from __future__ import annotations

import hashlib
import secrets

TOKEN_PREFIX = "cadenza_"  # noqa: S105  # what tokens begin with, so that scanners of published code find them


def new_secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> str:
    """What is stored of a secret: SHA-256, since 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
