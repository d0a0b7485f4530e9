"""Tokens of the command line, one for each server, in a file that only this user can read."""

from __future__ import annotations

import json
import os
from pathlib import Path

from platformdirs import user_config_path


def token_file() -> Path:
    """Where the tokens are."""
    return user_config_path("cadenza") / "tokens.json"


def stored_token(address: str) -> str:
    """The token for a server; empty when there is none."""
    return _read().get(address, "")


def store_token(address: str, token: str) -> None:
    """Keep a token for a server; an empty one is forgotten."""
    tokens = {**_read(), address: token}
    path = token_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump({name: secret for name, secret in tokens.items() if secret}, stream, indent=1)
    aside.replace(path)


def _read() -> dict[str, str]:
    try:
        held = json.loads(token_file().read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): str(secret) for name, secret in held.items()} if isinstance(held, dict) else {}
