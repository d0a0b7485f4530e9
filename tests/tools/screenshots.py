"""Take a picture of every page of a running system, light and dark, wide and narrow.

    python -m tests.tools.screenshots [FOLDER] [--address http://127.0.0.1:8420] [--name ada] [--only PART]

follows the dashboard's own links, one page of each kind, then one job in each state with the thing that it makes, and
writes `PAGE-WIDTH-THEME.png`. Where accounts are on, it signs in as `--name` with the password in `CADENZA_PASSWORD`.
It says which pages are wider than their window, and which complained in the browser's console.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from core.settings import Settings
from tests.tools.install_browser import find_browser

WIDTHS = {"wide": 1280, "narrow": 390}
THEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
_HEIGHT = 800
_TALLEST = 9000
START = ("/", "/api/v1/docs", "/no-such-page", "/account", "/evaluations", "/sign-in")
STATES = ("queued", "running", "failed", "cancelled", "succeeded")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SKIPPED = re.compile(r"\.(mid|zip|csv|wav|mp3|json|svg|cadenza)$|/(download|logout|live|provider)|/api/(?!v1/docs)")
# What makes another page of the same path: a form of another family, a list for one person, a choice of models.
_TELLING = {
    "family": True,
    "source": True,
    "owner": False,
    "ids": False,
    "choose": False,
    "model_id": False,
    "generation_id": False,
}
_LISTS = {
    "dataset": "/datasets",
    "training": "/trainings",
    "generation": "/generations",
    "evaluation": "/evaluations",
}


def find_pages(page: Page, address: str) -> dict[str, str]:
    """One address for each kind of page: a kind is a path whose numbers and names are left out."""
    kinds: dict[str, str] = {}
    waiting = [(kind_of(path), path) for path in START] + list(_jobs_and_things(page, address))
    while waiting:
        kind, path = waiting.pop(0)
        if kind in kinds or _SKIPPED.search(urlsplit(path).path):
            continue
        kinds[kind] = path
        page.goto(address + path, wait_until="load")
        links: list[str] = page.eval_on_selector_all("main a[href], nav a[href]", "all => all.map(link => link.href)")
        waiting += [(kind_of(found), found) for found in (_within(link) for link in links if link.startswith(address))]
    return kinds


def kind_of(path: str) -> str:
    """The kind of page that a path with its query leads to, as a file name."""
    parts = urlsplit(path)
    kind = re.sub(r"/\d+|(?<=/people)/[^/]+", "", parts.path).strip("/").replace("/", "-") or "overview"
    kind += "-one" if re.search(r"/\d+$|/people/[^/]+$", parts.path) else ""
    for name, value in parse_qsl(parts.query):
        kind += f"-{value}" if _TELLING[name] else f"-{name}"
    return kind + (f"-{parts.fragment}" if parts.fragment else "")


def _within(link: str) -> str:
    parts = urlsplit(link)
    query = "&".join(part for part in parts.query.split("&") if part.partition("=")[0] in _TELLING)
    return parts.path + (f"?{query}" if query else "") + ("#originality" if parts.fragment == "originality" else "")


def _jobs_and_things(page: Page, address: str) -> Iterator[tuple[str, str]]:
    """One job in each state, and one dataset, training, generation and evaluation whose job is in it."""
    for state in STATES:
        for job in _items(page, f"{address}/api/v1/jobs?state={state}&per_page=1"):
            yield f"job-{state}", f"/jobs/{job['id']}"
    for noun, path in _LISTS.items():
        for thing in _items(page, f"{address}/api/v1{path}?per_page=100"):
            job = thing.get("job")
            yield f"{noun}-{job['state'] if job else 'alone'}", f"{path}/{thing['id']}"
    if models := _items(page, f"{address}/api/v1/models?per_page=3"):
        yield "models-compare-three", f"/models/compare?ids={','.join(str(model['id']) for model in models)}"


def _items(page: Page, url: str) -> list[dict[str, Any]]:
    answer = page.request.get(url)
    return list(answer.json().get("items", [])) if answer.ok else []


def _signed_in(context: BrowserContext, address: str, name: str) -> None:
    if name:
        page = context.new_page()
        page.goto(f"{address}/sign-in")
        page.locator("[name=name]").fill(name)
        page.locator("[name=password]").fill(os.environ.get("CADENZA_PASSWORD", ""))
        page.locator("form button[type=submit]").first.click()
        page.wait_for_url(lambda url: "/sign-in" not in url)
        page.close()


def _take(browser: Browser, folder: Path, address: str, name: str, kinds: dict[str, str]) -> list[str]:
    """Take all pictures; what is wrong with the pages."""
    wrong: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "404" not in message.text:
            wrong.append(f"{message.location.get('url', '')}: {message.text}")

    for theme in THEMES:
        for words, width in WIDTHS.items():
            context = browser.new_context(viewport={"width": width, "height": _HEIGHT}, color_scheme=theme)
            context.on("console", said)
            _signed_in(context, address, name)
            page = context.new_page()
            for kind, path in kinds.items():
                if kind == "sign-in":
                    with browser.new_context(viewport={"width": width, "height": _HEIGHT}, color_scheme=theme) as other:
                        _picture(other.new_page(), address + path, folder / f"{kind}-{words}-{theme}.png")
                    continue
                _picture(page, address + path, folder / f"{kind}-{words}-{theme}.png")
                found = page.evaluate("document.documentElement.scrollWidth")
                if found > width:
                    wrong.append(f"{path}: {found} pixels wide in a window of {width}")
            context.close()
    return wrong


def _picture(page: Page, address: str, file: Path) -> None:
    window = page.viewport_size or {"width": WIDTHS["wide"], "height": _HEIGHT}
    page.goto(address, wait_until="load")
    # Charts, rolls and pictures are drawn once they come into sight: the window is made as tall as the page.
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": window["width"], "height": min(max(height, _HEIGHT), _TALLEST)})
    page.wait_for_timeout(600)
    page.screenshot(path=file, full_page=True)
    page.set_viewport_size(window)


def main() -> int:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description="Take a picture of every page of a running system.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("var/screenshots"))
    parser.add_argument("--address", default="")
    parser.add_argument("--name", default="", help="Who signs in; the password is in CADENZA_PASSWORD.")
    parser.add_argument("--only", default="", help="Only kinds of pages with these letters in their names.")
    options = parser.parse_args()
    address = options.address or (Settings().run_dir / "address").read_text().strip()
    options.folder.mkdir(parents=True, exist_ok=True)
    browser_path = find_browser()
    if browser_path is None:
        print("There is no Chromium; `make browser` installs one.", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.fspath(browser_path), args=_FLAGS)
        with browser.new_context() as context:
            _signed_in(context, address, options.name)
            kinds = find_pages(context.new_page(), address)
        kinds = {kind: path for kind, path in kinds.items() if options.only in kind}
        wrong = _take(browser, options.folder, address, options.name, kinds)
        browser.close()
    print(f"{len(kinds)} pages, {len(kinds) * len(THEMES) * len(WIDTHS)} pictures in {options.folder}")
    print("\n".join(dict.fromkeys(wrong)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
