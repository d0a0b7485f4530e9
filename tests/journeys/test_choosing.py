"""Choosing models to compare in a browser: eight, no more, with the keyboard too, and without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.training.settings import LstmSettings
from tests.tools.browser import Watch
from tests.tools.journey import Api
from webui.launcher.system import System

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_FULL = "No more can be compared; untick one to choose another."


@pytest.fixture
def ten(api: Api) -> Iterator[list[int]]:
    """Ten untrained models, gone afterwards."""
    made = []
    for seed in range(10):
        settings = LstmSettings(seed=9_000 + seed, embedding=8, units=8)
        checkpoint = Checkpoint("lstm", "performance", settings.model_dump(mode="json"), initial_weights(settings))
        file = {"file": (f"{seed}.cadenza", checkpoint.to_bytes())}
        answer = api.http.post("/models", files=file, data={"name": f"Choice {seed}"}).raise_for_status()
        made.append(answer.json()["id"])
    yield made
    for number in made:
        api.send("DELETE", f"/models/{number}")


def test_the_ninth_box_cannot_be_ticked(page: Page, ten: list[int]):
    page.goto("/models/compare")
    page.get_by_label("Search; what is chosen stays chosen").fill("Choice")
    # The return key searches, and compares nothing.
    page.keyboard.press("Enter")
    page.wait_for_url("**q=Choice**")
    boxes = page.locator("[name=ids]")
    expect(boxes).to_have_count(10)
    for number in range(8):
        boxes.nth(number).focus()
        page.keyboard.press("Space")
    status = page.get_by_role("status").filter(has_text="chosen")
    expect(status).to_have_text(f"8 of at most 8 chosen. {_FULL}", use_inner_text=True)
    for number in (8, 9):
        expect(boxes.nth(number)).to_be_disabled()
    boxes.nth(3).uncheck()
    expect(boxes.nth(8)).to_be_enabled()
    expect(status).to_have_text("7 of at most 8 chosen.", use_inner_text=True)
    boxes.nth(9).check()
    expect(boxes.nth(8)).to_be_disabled()

    page.get_by_role("button", name="Compare").click()
    rows = page.locator("table").first.locator("tbody tr td.name")
    expect(rows).to_have_count(8)
    expect(page.locator("body")).not_to_contain_text("Choice 6")
    page.go_back()
    expect(page.get_by_text(_FULL)).to_be_visible()
    expect(page.locator("[name=ids]:checked")).to_have_count(8)
    page.go_forward()
    page.get_by_role("link", name="Choose models").click()
    chosen = page.get_by_role("group", name="Chosen")
    expect(chosen.get_by_role("checkbox", checked=True)).to_have_count(8)
    expect(page.get_by_text(_FULL)).to_be_visible()


def test_without_scripts_nine_come_back_with_a_sentence(browser: Browser, system: System, ten: list[int], watch: Watch):
    watch.allow("422")
    with browser.new_context(base_url=system.address, java_script_enabled=False) as context:
        watch.follow(context)
        page = context.new_page()
        page.goto("/models/compare?q=Choice&choose=1")
        boxes = page.locator("[name=ids]")
        for number in range(9):
            boxes.nth(number).check()
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_role("alert")).to_contain_text("9 models are refused; at most 8 can be compared")
        chosen = page.get_by_role("group", name="Chosen")
        expect(chosen.get_by_role("checkbox", checked=True)).to_have_count(9)
        chosen.get_by_label(re.compile("Choice 5")).uncheck()
        page.get_by_role("button", name="Compare").click()
        expect(page.locator("table").first.locator("tbody tr td.name")).to_have_count(8)
    watch.check()
