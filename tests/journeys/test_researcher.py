"""A researcher's work by the command line: the same bytes again, in any company, and after moving the model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pretty_midi
import pytest
from playwright.sync_api import Page, expect

from tests.tools.browser import Watch
from tests.tools.journey import TRAINING, Api, CommandLine

pytestmark = pytest.mark.slow


def by_seed(folder: Path) -> dict[int, bytes]:
    """The MIDI files of a folder by the seed in their names; nothing else lies there."""
    found = {}
    for path in folder.iterdir():
        named = re.fullmatch(r"take-\d{5}-seed-(\d+)-t[\d.]+\.mid", path.name)
        assert named, path
        found[int(named[1])] = path.read_bytes()
    return found


def test_the_same_bytes_alone_in_company_and_by_an_uploaded_copy(
    cadenza: CommandLine, api: Api, model: dict[str, Any], tmp_path: Path
):
    options = ("--notes", "90", "--temperature", "0.9", "--wait")
    printed = cadenza.ok(
        "generate", "--model", "Undisturbed", "--seeds", "0-11", *options, "--out", str(tmp_path / "a")
    )
    first = by_seed(tmp_path / "a")
    assert sorted(first) == list(range(12))
    assert len(set(first.values())) == 12
    assert {Path(line).parent for line in printed.splitlines()} == {(tmp_path / "a").resolve()}
    for path in (tmp_path / "a").iterdir():
        (instrument,) = pretty_midi.PrettyMIDI(str(path)).instruments
        assert len(instrument.notes) == 90

    cadenza.ok("generate", "--model", str(model["id"]), "--seeds", "7", *options, "--out", str(tmp_path / "alone"))
    assert by_seed(tmp_path / "alone") == {7: first[7]}
    mixed = "900-920,11,7,3"
    cadenza.ok(
        "generate", "--model", model["content_hash"][:10], "--seeds", mixed, *options, "--out", str(tmp_path / "b")
    )
    again = by_seed(tmp_path / "b")
    assert len(again) == 24
    assert {seed: again[seed] for seed in (3, 7, 11)} == {seed: first[seed] for seed in (3, 7, 11)}

    checkpoint = tmp_path / "model.cadenza"
    cadenza.ok("models", "download", "Undisturbed", "--out", str(checkpoint))
    cadenza.ok("models", "upload", str(checkpoint), "--name", "A copy")
    (copy,) = api.get("/models", reference="A copy")["items"]
    assert (copy["content_hash"], copy["origin"]) == (model["content_hash"], "uploaded")
    cadenza.ok("generate", "--model", "A copy", "--seeds", "0-11", *options, "--out", str(tmp_path / "copy"))
    assert by_seed(tmp_path / "copy") == first
    file = next((tmp_path / "a").glob("*seed-5-*"))
    cadenza.ok("repeat", str(file), "--out", str(tmp_path / "repeated"))
    assert by_seed(tmp_path / "repeated") == {5: first[5]}


REFUSED = {
    "seeds": ({"seeds": "9-1"}, {}, ("--seeds", "9-1"), {"seeds": "9-1"}),
    "temperatures": ({"temperatures": "9"}, {}, ("--temperature", "9"), {"temperatures": "9"}),
    "notes": ({}, {"kind": "piece", "notes": 0}, ("--primer", "PIECE", "--primer-notes", "0"), {"notes": "0"}),
}


@pytest.mark.browser
@pytest.mark.parametrize("name", REFUSED)
def test_one_sentence_in_page_api_and_command_line(
    name: str, page: Page, watch: Watch, api: Api, cadenza: CommandLine, model: dict[str, Any], dataset: dict[str, Any]
):
    watch.allow("422")
    settings, primer, options, fields = REFUSED[name]
    piece = api.items(f"/datasets/{dataset['id']}/pieces")[0]["id"]
    chosen = {**primer, "piece_id": piece} if primer else {}
    values = {"model": model["id"], "settings": settings, "primer": chosen}
    before = api.get("/generations")["total"]
    sentence = api.refused("POST", "/generations", 422, values)
    assert sentence.startswith(f"{name}: ")
    assert re.search(r"\d+(\.\d+)? to \d+|1-9", sentence), "the allowed range is not named"
    told = [str(piece) if option == "PIECE" else option for option in options]
    assert cadenza.refused("generate", "--model", str(model["id"]), *told) == sentence

    page.goto(f"/generations/new?model_id={model['id']}" + (f"&piece_id={piece}" if primer else ""))
    for field, text in fields.items():
        page.locator(f"[name={field}]").fill(text)
    # A browser would hold back what its own checks refuse; a person with another browser gets the server's words.
    page.locator("form[data-generation-form]").evaluate("(form) => { form.noValidate = true; }")
    page.get_by_role("button", name="Generate", exact=True).click()
    shown = page.locator(f"#{name}-error")
    words = sentence.removeprefix(f"{name}: ")
    expect(shown).to_have_text(words[0].upper() + words[1:])
    expect(page.locator(f"[name={name}]")).to_have_value(fields[name])
    assert api.get("/generations")["total"] == before


@pytest.mark.browser
def test_an_unknown_model_and_an_upload_that_is_too_long(
    page: Page, watch: Watch, api: Api, cadenza: CommandLine, model: dict[str, Any], tmp_path: Path
):
    watch.allow("422")
    watch.allow("413")
    sentence = api.refused("POST", "/generations", 422, {"model": 4711, "settings": {"seeds": "1"}})
    assert sentence.startswith("model: '4711' is unknown")
    assert cadenza.refused("generate", "--model", "4711", "--seeds", "1") == sentence
    page.goto("/generations/new")
    page.locator("#model-field").evaluate("(select) => { select.options[0].value = 4711; select.value = 4711; }")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.locator("#model_id-error")).to_contain_text("no model 4711")

    limit = api.get("/overview")["upload_limit_bytes"]
    long = tmp_path / "long.mid"
    long.write_bytes(b"MThd" + b"\0" * limit)
    words = f"is longer than {limit:,} bytes (2 MiB), the most that is accepted; send it in parts."
    answer = api.http.post("/uploads", files={"files": ("long.mid", long.read_bytes())})
    assert answer.status_code == 413
    assert answer.json()["error"]["message"] == f"files: this upload {words}"
    assert cadenza.refused("import", str(long)) == f"files: 'long.mid' {words}"
    page.goto("/datasets/new?source=upload")
    page.get_by_label("or choose them").set_input_files(long)
    expect(page.get_by_role("alert").locator("span")).to_have_text(f"files: 'long.mid' {words}")


@pytest.mark.browser
def test_curves_of_two_families_are_laid_over_each_other_by_name(
    page: Page, api: Api, model: dict[str, Any], dataset: dict[str, Any]
):
    settings = {**TRAINING, "steps": 200, "evaluate_every": 50}
    asked = {"dataset": dataset["id"], "family": "gru", "settings": settings, "name": "The other", "evaluate": False}
    training = api.send("POST", "/trainings", asked)
    api.succeeded(training["job"]["id"])
    other = api.get(f"/trainings/{training['id']}")["model_id"]
    page.goto(f"/models/compare?ids={model['id']},{other}")
    for chart in (page.locator(f"[data-chart*='loss.json?{by}']") for by in ("ids", "by=time")):
        names = chart.locator(".legendtext")
        expect(names).to_have_text([f"Undisturbed ({model['id']})", f"The other ({other})"])
        curves = chart.locator(".scatterlayer .trace path.js-line")
        expect(curves).to_have_count(2)
        drawn = [curves.nth(number).evaluate("(line) => line.getTotalLength()") for number in range(2)]
        assert min(drawn) > 20
    api.send("DELETE", f"/models/{other}")
