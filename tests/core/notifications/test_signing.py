"""Signatures are those that the specification's libraries make and check."""

from __future__ import annotations

import pytest

from core.notifications.signing import new_webhook_secret, signed_headers
from tests.tools.receivers import is_signed


@pytest.mark.parametrize("prefix", ["", "whsec_"])
def test_the_published_example_has_the_published_signature(prefix: str) -> None:
    """The example that the specification's own libraries are tested with."""
    headers = signed_headers(
        [prefix + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_receiver_with_either_secret_knows_the_sender_and_no_other() -> None:
    new, former, foreign = (new_webhook_secret() for _ in range(3))
    headers = signed_headers([new, former], "msg_1", 1_700_000_000, b"{}")
    assert is_signed(headers, b"{}", new)
    assert is_signed(headers, b"{}", former)
    assert not is_signed(headers, b"{}", foreign)
    assert not is_signed(headers, b"{ }", new)
    assert not is_signed({**headers, "webhook-timestamp": "1700000001"}, b"{}", new)


def test_what_is_no_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        signed_headers(["whsec_not Base64!"], "msg_1", 0, b"")
