"""Notifications on the command line."""

from __future__ import annotations

from typing import Any


def test_choosing_testing_and_looking(cadenza: Any) -> None:
    assert "webhook: off, no address" in cadenza.run("notifications").output
    words = ["notifications", "set", "--webhook", "--webhook-url", "http://127.0.0.1:9/", "--no-finished"]
    saved = cadenza.run(*words).output
    assert "whsec_" in saved
    shown = cadenza.run("notifications", "show").output
    assert "told of: failures\n" in shown
    assert "webhook: on, http://127.0.0.1:9/" in shown
    assert "whsec_" in cadenza.run("notifications", "secret").output
    assert "delivery 1" in cadenza.run("notifications", "test", "webhook").output
    assert "waiting" in cadenza.run("notifications", "deliveries").output
    assert "only failed ones" in cadenza.run("notifications", "again", "1", code=1).output
    assert "Nothing to change" in cadenza.run("notifications", "set", code=2).output
