"""The model that comes with Cadenza: its files belong together, fit, and travel with the package."""

from __future__ import annotations

import fnmatch
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import core.ready
from core.modeling.checkpoints import Checkpoint
from core.ready.shipped import ReadyModel, card_of, ready_checkpoint, ready_model

_LARGEST_BYTES = 10 * 10**6


def test_the_checkpoint_is_the_one_that_the_card_is_about() -> None:
    data = ready_checkpoint()
    assert len(data) <= _LARGEST_BYTES
    checkpoint = Checkpoint.from_bytes(data)
    ready = ready_model()
    assert checkpoint.content_hash == ready.content_hash
    assert [line for line in ready.card.splitlines() if line.startswith("#")] == [
        "## Data",
        "## Licence",
        "## Figures",
        "## Limits",
    ]
    for unit in ("event", "note"):
        assert f"| nats per {unit} | {checkpoint.figures[f'held_out_nats_per_{unit}']:.3f} |" in ready.card
    assert f"{checkpoint.parameters:,} parameters" in ready.card
    assert card_of(ready.content_hash) == ready.card
    assert not card_of("0" * 64)


def test_the_card_s_file_is_read_as_it_was_written() -> None:
    ready = ReadyModel("A name: with a colon", "a" * 64, "some music", "b" * 64, "Words\n---\nand more.\n")
    assert ReadyModel.from_text(ready.to_text()) == ready
    with pytest.raises(ValueError, match="not those of a ready model"):
        ReadyModel.from_text(ready.to_text().replace("dataset_hash: ", "other: "))


def test_every_file_of_it_is_packed() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["core"]
    for entry in files(core.ready).iterdir():
        if entry.is_file() and not entry.name.endswith(".py"):
            assert any(fnmatch.fnmatch(f"ready/{entry.name}", pattern) for pattern in patterns), entry.name
