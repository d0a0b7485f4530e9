"""What holds on every page: room on a phone, light and dark, a way for those who use the keyboard alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.tools.browser import Watch
from tests.tools.journey import Api, until
from webui.launcher.system import System

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_WIDTH = 390


@pytest.fixture
def addresses(api: Api, dataset: dict[str, Any], model: dict[str, Any], generation: dict[str, Any]) -> list[str]:
    """One address of each page."""
    piece = api.items(f"/datasets/{dataset['id']}/pieces")[0]["id"]
    take = api.items(f"/generations/{generation['id']}/takes")[0]["id"]
    training = next(item["id"] for item in api.items("/trainings") if item["model_id"] == model["id"])
    return [
        "/",
        "/datasets",
        *(f"/datasets/new?source={source}" for source in ("starter", "upload", "maestro", "takes")),
        f"/datasets/{dataset['id']}",
        f"/pieces/{piece}",
        "/models",
        f"/models/{model['id']}",
        "/trainings",
        "/trainings/new?family=lstm",
        "/trainings/new?family=tutorial",
        f"/trainings/{training}",
        "/generations",
        f"/generations/new?model_id={model['id']}",
        f"/generations/{generation['id']}",
        f"/takes/{take}",
        "/jobs",
        f"/jobs/{generation['job']['id']}",
        "/queue",
        "/workers",
        "/limits",
        "/limits/of?owner=",
        "/retention?days=1",
        "/evaluations",
        "/models/compare",
        f"/models/compare?ids={model['id']}",
        f"/models/compare?choose=1&ids={model['id']}",
        "/account",
        "/account/notifications",
        "/people",
        "/audit",
        "/api/v1/docs",
        "/no-such-page",
    ]


def test_nothing_is_wider_than_a_phone(browser: Browser, system: System, watch: Watch, addresses: list[str]):
    watch.allow("404")
    options: dict[str, Any] = {"base_url": system.address, "viewport": {"width": _WIDTH, "height": 844}}
    wide = {}
    with browser.new_context(**options, has_touch=True, is_mobile=True) as context:
        watch.follow(context)
        page = context.new_page()
        for address in addresses:
            page.goto(address, wait_until="networkidle" if address == "/api/v1/docs" else "load")
            page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
            found = page.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
            if found > _WIDTH:
                wide[address] = found
    assert wide == {}
    watch.check()


def test_an_audit_finds_no_barrier(page: Page, addresses: list[str], watch: Watch):
    watch.allow("404")
    audit = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
    barriers = {}
    # Swagger UI's own markup is not ours to mend.
    for address in (address for address in addresses if address != "/api/v1/docs"):
        page.emulate_media(color_scheme="light")
        page.goto(address)
        page.evaluate(audit)
        barriers[address] = violations(page, "tag", ["wcag2a", "wcag2aa", "best-practice"])
        # The other theme has the same markup in other colours.
        page.emulate_media(color_scheme="dark")
        expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
        still = "document.getAnimations().every((each) => each.playState !== 'running')"
        until(lambda still=still: page.evaluate(still), 20, "the end of the change of colours")
        barriers[f"{address} in the dark"] = violations(page, "rule", ["color-contrast", "link-in-text-block"])
    assert {address: found for address, found in barriers.items() if found} == {}


def violations(page: Page, kind: str, values: list[str]) -> list[tuple[str, str]]:
    """Rules, named or of these tags, that a page breaks, with the first place of each."""
    run = "(only) => axe.run({ runOnly: only, resultTypes: ['violations'] })"
    found = page.evaluate(run, {"type": kind, "values": values})["violations"]
    return [(barrier["id"], barrier["nodes"][0]["target"]) for barrier in found]


def test_light_and_dark(page: Page):
    page.goto("/")
    shown = page.locator("html")
    switch = page.get_by_role("button", name="Change between light and dark")
    expect(shown).to_have_attribute("data-bs-theme", "light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    switch.click()
    switch.click()
    expect(shown).to_have_attribute("data-bs-theme", "dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, dark[4:-1].split(","))) < sum(map(int, light[4:-1].split(","))) / 3
    page.goto("/jobs")
    expect(shown).to_have_attribute("data-bs-theme", "dark")
    switch.click()
    page.emulate_media(color_scheme="dark")
    expect(shown).to_have_attribute("data-bs-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(shown).to_have_attribute("data-bs-theme", "light")


def test_by_the_keyboard_alone(page: Page, api: Api, generation: dict[str, Any]):
    takes = api.items(f"/generations/{generation['id']}/takes")
    page.goto(f"/takes/{takes[0]['id']}")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    play = page.locator("[data-play-main]")
    for _ in range(20):
        page.keyboard.press("Tab")
        if play.evaluate("(button) => button === document.activeElement"):
            break
    expect(play).to_be_focused()
    ring = play.evaluate("(node) => [getComputedStyle(node).outlineStyle, getComputedStyle(node).boxShadow]")
    assert ring != ["none", "none"], "focus cannot be seen"
    page.keyboard.press("Space")
    expect(play).to_have_attribute("aria-pressed", "true")
    shown = "document.querySelector('[data-player-seek]').value"
    until(lambda: int(page.evaluate(shown)) > 0, 20, "a moving cursor")
    page.keyboard.press("Space")
    expect(play).to_have_attribute("aria-pressed", "false")
    # Outside of buttons and fields the space bar plays too, and in a field it writes.
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    expect(play).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Note", exact=True).press_sequentially("a b")
    expect(page.get_by_label("Note", exact=True)).to_have_value("a b")
    expect(play).to_have_attribute("aria-pressed", "true")
