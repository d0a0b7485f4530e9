"""Which addresses a webhook may have, and to which IP address it is sent.

A name is asked for once, every address that it has is judged, and the message goes to one of those that were judged:
a name that answers otherwise a moment later reaches nothing inside.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from core.datasets.internal import is_public
from core.errors import InputError

LONGEST_URL = 1000


class AddressError(Exception):
    """The host has no address, or one that webhooks are not sent to; the message says which."""


def check_webhook_url(url: str, *, internal: bool) -> str:
    """A webhook's address as stored.

    Args:
        url: what a person wrote.
        internal: whether it may lie in the server's own network.

    Raises:
        InputError: it is no http or https address of a host, or one inside the own network.
    """
    cleaned = url.strip()
    try:
        parts = urlsplit(cleaned)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not cleaned.isascii() or not cleaned.isprintable() or " " in cleaned or len(cleaned) > LONGEST_URL:
        raise InputError.of(
            "webhook_url",
            f"webhook_url: {cleaned[:60]!r} is refused; write an address such as https://example.org/hooks/cadenza.",
        )
    if parts.username or parts.password:
        raise InputError.of(
            "webhook_url",
            "webhook_url: an address with a password inside is refused; the signature shows who sends.",
        )
    try:
        resolve(parts.hostname or "", parts.port or 443, internal=internal)
    except AddressError as error:
        raise InputError.of("webhook_url", f"webhook_url: {error}") from None
    return cleaned


def resolve(host: str, port: int, *, internal: bool) -> list[str]:
    """The IP addresses of a host, in the order in which they should be tried.

    Raises:
        AddressError: nobody knows it, or any of its addresses is inside the own network and `internal` is false.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressError(f"the host {host[:100]!r} is not known; check its name.") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not internal and not all(map(is_public, addresses)):
        raise AddressError(
            f"{host[:100]!r} is inside this server's own network, and webhooks are not sent there; an administrator "
            "can allow it with CADENZA_INTERNAL_WEBHOOKS."
        )
    return addresses
