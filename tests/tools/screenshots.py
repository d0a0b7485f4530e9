"""Take a picture of every page of a running system, light and dark, wide and narrow.

    python -m tests.tools.screenshots [FOLDER] [--address http://127.0.0.1:8420]

follows the dashboard's own links, one page of each kind, and writes `PAGE-WIDTH-THEME.png`.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

from core.settings import Settings
from tests.tools.install_browser import find_browser

WIDTHS = {"wide": 1280, "narrow": 390}
THEMES = ("light", "dark")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SKIPPED = re.compile(r"\.(mid|zip|csv|wav|mp3|json|svg|cadenza)$|/(download|logout|live)|/api/")


def find_pages(page: Page, address: str) -> dict[str, str]:
    """One address for each kind of page that links lead to; a kind is a path whose numbers are left out."""
    kinds: dict[str, str] = {}
    waiting = ["/", "/api/v1/docs", "/no-such-page"]
    while waiting:
        path = waiting.pop(0)
        kind = re.sub(r"/\d+", "", urlsplit(path).path).strip("/").replace("/", "-") or "overview"
        kind += "-one" if re.search(r"/\d+$", urlsplit(path).path) else ""
        if kind in kinds or (_SKIPPED.search(urlsplit(path).path) and path != "/api/v1/docs"):
            continue
        kinds[kind] = path
        page.goto(address + path, wait_until="load")
        links: list[str] = page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")
        waiting += [urlsplit(link).path for link in links if link.startswith(address) and not urlsplit(link).query]
    return kinds


def main() -> int:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description="Take a picture of every page of a running system.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("var/screenshots"))
    parser.add_argument("--address", default="")
    options = parser.parse_args()
    address = options.address or (Settings().run_dir / "address").read_text().strip()
    options.folder.mkdir(parents=True, exist_ok=True)
    browser_path = find_browser()
    if browser_path is None:
        print("There is no Chromium; `make browser` installs one.", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.fspath(browser_path), args=_FLAGS)
        with browser.new_page() as page:
            kinds = find_pages(page, address)
        for theme in THEMES:
            for name, width in WIDTHS.items():
                context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
                page = context.new_page()
                for kind, path in kinds.items():
                    page.goto(address + path, wait_until="load")
                    page.wait_for_timeout(400)  # charts and rolls draw themselves after loading
                    page.screenshot(path=options.folder / f"{kind}-{name}-{theme}.png", full_page=True)
                context.close()
        browser.close()
    print(f"{len(kinds)} pages, {len(kinds) * len(THEMES) * len(WIDTHS)} pictures in {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
