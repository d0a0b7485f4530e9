"""What a browser calls itself, in two words that its user knows."""

from __future__ import annotations

import re

# The first that fits: Edge and Opera also say Chrome, Chrome also says Safari, phones also say Linux or Mac OS X.
_BROWSERS = {
    "Edge": r"\bEdgA?\b|\bEdge\b|\bEdgiOS\b",
    "Opera": r"\bOPR\b|\bOpera\b",
    "Firefox": r"\bFirefox\b|\bFxiOS\b",
    "Chrome": r"\bChrome\b|\bHeadlessChrome\b|\bChromium\b|\bCriOS\b",
    "Safari": r"\bSafari\b",
}
_SYSTEMS = {
    "Android": r"\bAndroid\b",
    "iPhone": r"\biPhone\b",
    "iPad": r"\biPad\b",
    "Windows": r"\bWindows\b",
    "macOS": r"\bMacintosh\b|\bMac OS X\b",
    "ChromeOS": r"\bCrOS\b",
    "Linux": r"\bLinux\b",
}
_LONGEST = 60


def browser_name(user_agent: str) -> str:
    """`Firefox on Linux`; the header's own beginning where it says neither."""
    browser, system = _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent)
    if browser:
        return f"{browser} on {system}" if system else browser
    return user_agent[:_LONGEST] or "Unknown browser"


def _first(names: dict[str, str], text: str) -> str:
    return next((name for name, pattern in names.items() if re.search(pattern, text)), "")
