"""Signatures of webhooks, as standardwebhooks.com defines them, so that its libraries check them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

_PREFIX = "whsec_"


def new_webhook_secret() -> str:
    """A fresh secret: 256 random bits in Base64 behind "whsec_"."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signed_headers(webhook_secrets: list[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a signed message: `webhook-id`, `webhook-timestamp` and `webhook-signature`.

    A signature is "v1," and the Base64 of HMAC-SHA256 over "<id>.<timestamp>.<body>"; one for each secret, so that a
    receiver which still knows the former one goes on.

    Args:
        webhook_secrets: the present one, and perhaps the former; as `new_webhook_secret` makes them.
        message_id: the same at each attempt.
        timestamp: seconds since 1970, when this attempt is made.
        body: the bytes that are sent.

    Raises:
        ValueError: a secret is none.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode() for secret in webhook_secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a webhook's secret is Base64 behind 'whsec_'") from None
