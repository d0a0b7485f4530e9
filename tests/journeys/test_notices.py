"""A job's end is told in the browser, once for all tabs, and to a webhook, by the real processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.tools.journey import Api, CommandLine, until, write_pieces
from tests.tools.receivers import is_signed, receive_hooks

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# A browser without a window shows none; what the page asks of it is remembered instead.
_BROWSER = """(permission) => {
  window.told = [];
  window.Notification = class {
    static permission = permission;
    static async requestPermission() { this.permission = "granted"; return this.permission; }
    constructor(title, options) { window.told.push([title, options.body]); }
    close() {}
  };
}"""


def open_tab(context: BrowserContext, path: str) -> Page:
    page = context.new_page()
    page.goto(path)
    page.locator("[data-live-state=open]").wait_for()
    return page


def told_in(tabs: list[Page]) -> list[list[str]]:
    """Title and text of each notification that these tabs have shown."""
    return [each for tab in tabs for each in tab.evaluate("window.told")]


def test_an_end_is_told_once_in_the_browser_and_to_the_webhook(
    context: BrowserContext, api: Api, cadenza: CommandLine, quiet: None, tmp_path: Path
) -> None:
    context.add_init_script(f"({_BROWSER})('default')")
    page = open_tab(context, "/account/notifications")
    page.get_by_text("has not been asked yet").wait_for()
    page.get_by_role("button", name="Allow in this browser").click()
    page.get_by_text("shows notifications from Cadenza").wait_for()
    with receive_hooks() as hooks:
        page.get_by_label("In the browser").check()
        page.get_by_label("By webhook").check()
        page.get_by_label("Webhook", exact=True).fill(hooks.url)
        page.get_by_label("Only after").fill("0")
        page.get_by_role("button", name="Save").click()
        secret = page.get_by_label("The webhook's secret").input_value()
        page.get_by_role("button", name="Send a test webhook").click()
        page.get_by_text("Arrived").wait_for()
        page.close()
        context.add_init_script(f"({_BROWSER})('granted')")
        tabs = [open_tab(context, "/"), open_tab(context, "/jobs")]
        write_pieces(tmp_path / "two", 2, first_seed=900)
        cadenza.ok("import", str(tmp_path / "two"), "--name", "Two pieces", "--wait")
        until(lambda: told_in(tabs), 60, "a notification")
        until(lambda: len(hooks.arrived) == 2, 60, "the webhook")
        # Only now: the other tab had its time to tell the same.
        told = told_in(tabs)
    job = hooks.bodies()[1]["data"]["job"]
    assert told == [[f"{job['title']} is done", told[0][1]]]
    assert (job["state"], hooks.bodies()[1]["type"]) == ("succeeded", "job.finished")
    assert all(is_signed(headers, body, secret) for headers, body in hooks.arrived)
    page = open_tab(context, "/account/notifications")
    assert page.evaluate("window.told") == [], "what was told before is not told again"
    # Where the browser refuses, the page itself tells.
    for tab in [*tabs, page]:
        tab.close()
    context.add_init_script(f"({_BROWSER})('denied')")
    page = open_tab(context, "/")
    page.get_by_text("This browser refuses notifications").wait_for()
    api.http.post("/notifications/test", json={"way": "browser"}).raise_for_status()
    page.locator(".toast-c", has_text="This is a test from Cadenza").wait_for()
    api.http.patch("/notifications", json={"browser": False, "webhook": False}).raise_for_status()
