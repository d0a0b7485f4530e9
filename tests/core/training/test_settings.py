"""Settings of trainings: presets, what people change of them, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InputError
from core.fields import allowed_range
from core.training.settings import FAMILIES, TutorialSettings, parse_stored_settings, parse_training_settings


@pytest.mark.parametrize(
    ("family", "preset"), [(name, preset) for name, cls in FAMILIES.items() for preset in cls.presets]
)
def test_presets_are_valid_and_give_way(family: str, preset: str) -> None:
    settings = parse_training_settings(family, {}, preset)
    for name, value in FAMILIES[family].presets[preset].items():
        assert getattr(settings, name) == value
    assert parse_training_settings(family, {"seed": "7", "batch_size": 3}, preset).model_dump() == {
        **settings.model_dump(),
        "seed": 7,
        "batch_size": 3,
    }
    assert FAMILIES[family].parse(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "tutorial"])
def test_what_was_stored_before_a_setting_existed_stays_what_it_was(family: str) -> None:
    values = parse_training_settings(family, {}).model_dump(mode="json")
    before: dict[str, Any] = {"sounding": False, "optimizer": "adamw", "minutes": 0}
    if family == "transformer":
        before |= {"kernel": 1, "qk_norm": False}
    assert all(values[name] != off for name, off in before.items() if name != "minutes")
    earlier = {name: value for name, value in values.items() if name not in before}
    stored = parse_stored_settings(family, earlier).model_dump(mode="json")
    assert stored == {**values, **before}
    assert parse_stored_settings(family, values).model_dump(mode="json") == values


def test_the_articles_numbers() -> None:
    article = parse_training_settings("tutorial", {}, "Article")
    assert isinstance(article, TutorialSettings)
    assert (article.window, article.epochs, article.batch_size, article.learning_rate) == (25, 50, 64, 0.005)
    assert (article.patience, article.files) == (5, 5)


@pytest.mark.parametrize(
    ("family", "values", "preset", "said"),
    [
        ("gru-x", {}, "", "family: 'gru-x' is unknown; allowed are lstm, gru, conv1d"),
        ("lstm", {}, "Huge", "preset: 'Huge' is unknown; allowed are Starter, Standard, Large"),
        ("tutorial", {}, "Starter", "preset: 'Starter' is unknown; allowed are Article, Quick"),
        ("tutorial", {"units": 3}, "", "units: there is no such setting; allowed are seed, files, window"),
        ("lstm", {"units": 7}, "Starter", "units: '7' is refused; allowed is 8 to 4096"),
        ("lstm", {"dropout": 0.9}, "", "dropout: '0.9' is refused; allowed is 0 to below 0.9"),
        ("lstm", {"learning_rate": 0}, "", "learning_rate: '0' is refused; allowed is above 0 to 1"),
        ("lstm", {"learning_rate": "NaN"}, "", "learning_rate: 'NaN' is refused; allowed is above 0 to 1"),
        ("lstm", {"clip_norm": 1e400}, "", "clip_norm: 'inf' is refused; allowed is above 0 to 1000"),
        ("lstm", {"steps": True}, "", "steps: True is refused; a number is needed, allowed is 1 to 10000000"),
        ("lstm", {"seed": -1}, "", "seed: '-1' is refused; allowed is 0 to 4294967295"),
        ("lstm", {"seed": None}, "", "seed: 'None' is refused; allowed is 0 to 4294967295"),
        ("tutorial", {"window": 1}, "", "window: '1' is refused; allowed is 2 to 200"),
    ],
)
def test_what_is_refused(family: str, values: dict[str, Any], preset: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_training_settings(family, values, preset)
    assert str(refused.value).startswith(said)


def test_heads_must_share_the_units() -> None:
    with pytest.raises(InputError, match="heads: 3 does not fit 128 units; units must be a multiple of twice"):
        parse_training_settings("transformer", {"heads": 3})


def test_the_ends_of_every_range_are_allowed() -> None:
    for cls in FAMILIES.values():
        for name, field in cls.model_fields.items():
            if field.annotation is bool or allowed_range(field).startswith("one of "):
                continue
            low, _, high = allowed_range(field).partition(" to ")
            if not low.startswith("above"):
                assert getattr(cls.parse({name: low}), name) == float(low)
            if not high.startswith("below"):
                assert getattr(cls.parse({name: high}), name) == float(high)
