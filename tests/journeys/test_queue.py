"""Reordering by mouse and by keyboard, the next one, and cancelling many after the count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.tools.journey import Api, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def paused(api: Api, quiet: None) -> Iterator[None]:
    """The queue of generations is paused, so that what waits stays where it is put; nothing else is in it."""
    api.send("POST", "/queues/pause", {"queues": ["generation"]})
    yield
    api.send("POST", "/queues/resume", {})


def order(page: Page) -> list[str]:
    """Titles of the waiting generations as the page shows them."""
    return page.locator("#waiting-generation .job-title").all_inner_texts()


def claims(api: Api, names: list[str]) -> list[str]:
    """The waiting jobs in their owner's order, as the API tells it."""
    jobs = [job for job in api.get("/jobs", state="queued", per_page=100)["items"] if job["title"] in names]
    return [job["title"] for job in sorted(jobs, key=lambda job: (job["position"], job["id"]))]


def test_waiting_jobs_are_moved_and_cancelled(page: Page, api: Api, model: dict[str, Any], paused: None):
    names = ["First", "Second", "Third", "Fourth"]
    for number, name in enumerate(names):
        values = {"model": model["id"], "settings": {"seeds": str(number), "length": 20}, "name": name}
        api.send("POST", "/generations", values)
    page.goto("/queue")
    page.evaluate("window.here = true")
    expect(page.locator("#waiting-generation .waiting-job")).to_have_count(4)
    assert order(page) == names

    # The mouse: the last one is dragged to the top.
    grip = page.get_by_role("button", name="Move Fourth")
    grip.hover()
    page.mouse.down()
    # From here the page stays as it is until the button is let go.
    expect(page.locator("#waiting-generation [data-dragging]")).to_have_count(1)
    target = page.locator("#waiting-generation .waiting-job").first.bounding_box()
    assert target is not None
    page.mouse.move(target["x"] + 20, target["y"] + 30, steps=8)
    page.mouse.move(target["x"] + 20, target["y"] + 4, steps=3)
    page.mouse.up()
    wanted = ["Fourth", "First", "Second", "Third"]
    until(lambda: claims(api, names) == wanted, 10, "the new order")
    until(lambda: order(page) == wanted, 10, "the page's new order")

    # The keyboard: the handle keeps the focus, and the place is said; also when the list is drawn anew from before the
    # move until the move is answered.
    grip.focus()
    move = grip.get_attribute("data-grip")
    assert move

    def drawn_from_before(route: Route) -> None:
        page.evaluate(
            "const rows = [...document.querySelectorAll('#waiting-generation .waiting-job')];"
            "rows[0].before(rows.find((row) => row.textContent.includes('Fourth')));"
        )
        route.continue_()

    page.route(f"**{move}", drawn_from_before, times=1)
    with page.expect_response(f"**{move}"):
        page.keyboard.press("ArrowDown")
    wanted = ["First", "Fourth", "Second", "Third"]
    until(lambda: claims(api, names) == wanted, 10, "one step down")
    expect(grip).to_be_focused()
    expect(page.locator("[data-moved]")).to_have_text("Place 2 of your 4.")
    page.keyboard.press("End")
    wanted = ["First", "Second", "Third", "Fourth"]
    until(lambda: claims(api, names) == wanted, 10, "the end")
    expect(grip).to_be_focused()

    # The button: next.
    page.locator(".waiting-job", has_text="Third").get_by_role("button", name="Next").click()
    until(lambda: claims(api, names) == ["Third", "First", "Second", "Fourth"], 10, "the next one")
    expect(page.locator("#queue-generation .state-paused")).to_be_visible()

    # All of mine: the count is asked about first, and no is no.
    page.get_by_role("button", name="Cancel all of mine").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("4 waiting or running jobs of local will be cancelled")
    question.get_by_role("button", name="Cancel", exact=True).click()
    assert len(claims(api, names)) == 4
    page.get_by_role("button", name="Cancel all of mine").click()
    question.get_by_role("button", name="Cancel 4 jobs").click()
    expect(page.locator("#none-generation")).to_be_visible()
    assert claims(api, names) == []
    assert page.evaluate("window.here"), "the page was loaded again"
