"""The form of a training in a browser: what a preset puts into its fields, and that its dataset stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.tools.journey import Api, CommandLine, write_pieces

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_preset_puts_back_switches_and_choices_too(page: Page, dataset: dict[str, Any]):
    page.goto(f"/trainings/new?family=transformer&dataset_id={dataset['id']}")
    starter, standard = (page.get_by_role("button", name=name, exact=True) for name in ("Starter", "Standard"))
    expect(starter).to_have_attribute("aria-pressed", "true")
    page.get_by_text("Advanced", exact=True).click()
    norm, optimizer, kernel = (
        page.get_by_label(name) for name in ("Normalised attention", "Optimiser", "Short kernel")
    )
    expect(norm).to_be_checked()

    # None of these is a preset any more.
    norm.uncheck()
    expect(starter).to_have_attribute("aria-pressed", "false")
    expect(page.locator("[name=preset]")).to_have_value("")
    starter.click()
    expect(norm).to_be_checked()
    optimizer.select_option("adamw")
    expect(starter).to_have_attribute("aria-pressed", "false")
    norm.uncheck()
    kernel.fill("1")

    standard.click()
    expect(standard).to_have_attribute("aria-pressed", "true")
    expect(norm).to_be_checked()
    expect(optimizer).to_have_value("muon")
    expect(kernel).to_have_value("4")
    expect(page.get_by_label("Units")).to_have_value("256")


def test_another_family_keeps_the_chosen_dataset(
    page: Page, api: Api, cadenza: CommandLine, dataset: dict[str, Any], tmp_path: Path
):
    write_pieces(tmp_path, 3, first_seed=900)
    cadenza.ok("import", str(tmp_path), "--name", "Newer", "--wait")
    newer = api.get("/datasets", reference="Newer")["items"][0]["id"]
    page.goto("/trainings/new?family=lstm")
    chosen = page.get_by_label("Dataset", exact=True)
    expect(chosen).to_have_value(str(newer))
    chosen.select_option(str(dataset["id"]))
    page.get_by_role("link", name="gru").click()
    page.wait_for_url("**family=gru**")
    expect(chosen).to_have_value(str(dataset["id"]))

    # One that is gone is replaced by none, and the browser itself does not send the form.
    api.send("DELETE", f"/datasets/{newer}")
    page.goto(f"/trainings/new?dataset_id={newer}")
    expect(page.get_by_text(f"No imported dataset has the number {newer}")).to_be_visible()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(chosen).to_be_focused()
    assert page.url.endswith(f"/trainings/new?dataset_id={newer}")


def test_a_generation_is_asked_for_only_where_takes_are_the_source(page: Page, generation: dict[str, Any]):
    page.goto("/datasets/new?source=takes&generation_id=999999")
    chosen = page.get_by_label("Generation", exact=True)
    page.get_by_role("button", name="Import").click()
    expect(chosen).to_be_focused()
    page.get_by_text("Your files").click()
    # Hidden and still required, it would keep every import back without a word.
    expect(page.locator("#generation-field")).not_to_have_attribute("required", "")
