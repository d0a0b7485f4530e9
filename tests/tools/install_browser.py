"""Find the Chromium that the browser tests drive, or install one: the system's package when root, else Playwright's.

    python -m tests.tools.install_browser

prints the path that was found and exits 0, or says what failed and exits 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def find_browser() -> Path | None:
    """The Chromium that is there: `CADENZA_CHROMIUM`, one of the usual names, or the one Playwright keeps."""
    if named := os.environ.get("CADENZA_CHROMIUM"):
        return Path(named)
    for name in _NAMES:
        if found := shutil.which(name):
            return Path(found)
    return _MAC if _MAC.exists() else _playwright_browser()


def main() -> int:
    """Install a browser unless there is one."""
    if not find_browser():
        if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
            subprocess.run(["apt-get", "update", "-qq"], check=False)
            subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=False, stdout=subprocess.DEVNULL)
        if not find_browser():
            subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    found = find_browser()
    print(f"browser: {found}" if found else "No Chromium could be installed; name one with CADENZA_CHROMIUM.")
    return 0 if found else 1


def _playwright_browser() -> Path | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return path if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
