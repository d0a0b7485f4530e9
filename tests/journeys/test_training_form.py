"""The form of a training in a browser: what a preset puts into its fields, whatever kind they are of."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

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
