"""Two words for a browser, from the headers that real ones send."""

from __future__ import annotations

import pytest

from webui.browsers import browser_name

_LIKE_GECKO = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_LIKE_GECKO}", "Chrome on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_LIKE_GECKO} Edg/126.0.0.0", "Edge on Windows"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {_LIKE_GECKO} OPR/112.0.0.0", "Opera on Linux"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {_LIKE_GECKO}", "Chrome on Android"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_LIKE_GECKO}", "Chrome on ChromeOS"),
        (f"{_MAC} Version/17.4 Safari/605.1.15", "Safari on macOS"),
        (f"{_IPHONE} Version/17.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{_IPHONE} CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        ("curl/8.7.1", "curl/8.7.1"),
        ("x" * 300, "x" * 60),
        ("", "Unknown browser"),
    ],
)
def test_a_browser_and_its_system(header: str, name: str) -> None:
    assert browser_name(header) == name
