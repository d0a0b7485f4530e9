"""Pausing, resuming and cancelling by one click, and what must not be deleted."""

from __future__ import annotations

import io
import time
import zipfile
from typing import Any

import pretty_midi
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.tools.browser import Watch
from tests.tools.journey import Api, CommandLine, held_still, until
from webui.launcher.system import System

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_MOST_SECONDS = 10.0
# More than any machine makes before it is told to stop.
_STEPS, _TAKES = 1_000_000, 10_000


def test_a_training_is_paused_and_resumed_by_one_click(
    context: BrowserContext,
    watch: Watch,
    system: System,
    api: Api,
    dataset: dict[str, Any],
    model: dict[str, Any],
    train_again: Any,
    check_same_model: Any,
):
    watch.allow("409")
    training = train_again("Paused half way")
    page = context.new_page()
    page.goto(f"/trainings/{training['id']}")
    page.evaluate("window.here = true")
    until(lambda: resume_step(api, training), 90, "a resume point")
    with held_still(system, api, "training"):
        assert units(api, training)[0]["state"] == "running", "it ended before it could be paused: ask for more steps"
        expect(page.get_by_text("safe at")).to_be_visible()
        sentence = api.refused("DELETE", f"/datasets/{dataset['id']}", 409)
        page.get_by_role("button", name="Pause").click()
        clicked = time.monotonic()
        until(lambda: api.get(f"/jobs/{training['job']['id']}")["paused"], 10, "the request")
    until(lambda: units(api, training)[0]["state"] == "held", 30, "the pause")
    paused = time.monotonic() - clicked
    print(f"paused {paused:.1f} s after the click")
    assert paused <= _MOST_SECONDS
    expect(page.locator(".state-paused")).to_be_visible()
    until(lambda: state_of_worker(api, "training") == "ready", 10, "a free device")
    assert 0 < resume_step(api, training) < training["settings"]["steps"]

    assert "Paused half way" in sentence
    assert refused_deletion(context.new_page(), f"/datasets/{dataset['id']}") == sentence
    assert api.get(f"/datasets/{dataset['id']}")["ready"]

    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("link", name="The model")).to_be_visible(timeout=120_000)
    assert page.evaluate("window.here"), "the page was loaded again"
    check_same_model(training, model)


def test_a_training_is_cancelled(api: Api, train_again: Any):
    training = train_again("Cancelled", steps=_STEPS)
    until(lambda: units(api, training)[0]["state"] == "running", 60, "the start")
    asked = time.monotonic()
    api.send("POST", f"/jobs/{training['job']['id']}/cancel")
    job = api.job_ended(training["job"]["id"], 30)
    print(f"a training was cancelled after {time.monotonic() - asked:.1f} s")
    assert time.monotonic() - asked <= _MOST_SECONDS
    assert job["state"] == "cancelled"


def test_a_generation_cancelled_half_way_keeps_its_takes(
    page: Page, watch: Watch, api: Api, cadenza: CommandLine, model: dict[str, Any]
):
    watch.allow("409")
    made = api.generate(model["id"], f"0-{_TAKES - 1}", length=2_000)
    page.goto(f"/generations/{made['id']}")
    expect(page.locator("article.take").first).to_be_visible(timeout=60_000)

    sentence = api.refused("DELETE", f"/models/{model['id']}", 409)
    assert cadenza.refused("models", "delete", str(model["id"]), "--yes") == sentence
    assert refused_deletion(page.context.new_page(), f"/models/{model['id']}") == sentence

    page_of_job = page.context.new_page()
    page_of_job.goto(f"/jobs/{made['job']['id']}")
    page_of_job.evaluate("window.here = true")
    page.get_by_role("button", name="Cancel").click()
    clicked = time.monotonic()
    job = api.job_ended(made["job"]["id"], 30)
    print(f"a generation was cancelled after {time.monotonic() - clicked:.1f} s")
    assert time.monotonic() - clicked <= _MOST_SECONDS
    assert job["state"] == "cancelled"
    expect(page.locator(".state-cancelled")).to_be_visible()
    expect(page_of_job.locator(".state-cancelled")).to_be_visible()
    assert page_of_job.evaluate("window.here"), "the page was loaded again"
    kept = api.get(f"/generations/{made['id']}")["takes_done"]
    assert 0 < kept < _TAKES
    expect(page.get_by_text(f"Cancelled; the {kept:,} takes made before stay.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == kept + 1
        music = pretty_midi.PrettyMIDI(io.BytesIO(archive.read(min(archive.namelist()))))
    assert len(music.instruments[0].notes) == 2_000


def refused_deletion(page: Page, address: str) -> str:
    """What the page says when somebody tries to delete its subject."""
    page.goto(address)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    said = page.get_by_role("alert").locator("span").inner_text()
    page.close()
    return said


def units(api: Api, subject: dict[str, Any]) -> list[dict[str, Any]]:
    """The units of the job of a training."""
    found: list[dict[str, Any]] = api.get(f"/jobs/{subject['job']['id']}")["units"]
    return found


def resume_step(api: Api, training: dict[str, Any]) -> int:
    """The step from which a training would go on; 0 before the first."""
    return int(api.get(f"/trainings/{training['id']}")["resume_step"])


def state_of_worker(api: Api, name: str) -> str:
    """A worker's state."""
    return str(next(each for each in api.get("/workers")["items"] if each["name"] == name)["state"])
