"""The model families, and how what a person chose becomes settings. Light: no Keras in here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InputError
from core.training.event_settings import LARGEST_SEED, EventSettings, FamilySettings
from core.training.network_settings import (
    Conv1dSettings,
    GruSettings,
    LstmSettings,
    RecurrentSettings,
    TransformerSettings,
    WavenetSettings,
)
from core.training.tutorial_settings import TutorialSettings

__all__ = [
    "FAMILIES",
    "LARGEST_SEED",
    "Conv1dSettings",
    "EventSettings",
    "FamilySettings",
    "GruSettings",
    "LstmSettings",
    "RecurrentSettings",
    "TransformerSettings",
    "TutorialSettings",
    "WavenetSettings",
    "parse_stored_settings",
    "parse_training_settings",
    "stored_values",
]

FAMILIES: dict[str, type[FamilySettings]] = {
    cls.family: cls
    for cls in (LstmSettings, GruSettings, Conv1dSettings, WavenetSettings, TransformerSettings, TutorialSettings)
}


# What a setting that came later means in what was stored before: networks stay what they were.
_BEFORE = {"sounding": False, "optimizer": "adamw", "minutes": 0.0}
_BEFORE_IN_FAMILY = {"transformer": {"kernel": 1, "qk_norm": False}}


def parse_training_settings(family: str, values: dict[str, Any], preset: str = "") -> FamilySettings:
    """Validate a family's settings, with a preset's values below those given.

    Whoever names the steps wants those: a preset's time limit is not for them.

    Raises:
        InputError: unknown family or preset, or a setting outside its range.
    """
    if family not in FAMILIES:
        raise InputError.of("family", f"family: {family!r} is unknown; allowed are {', '.join(FAMILIES)}.")
    cls = FAMILIES[family]
    if preset and preset not in cls.presets:
        raise InputError.of("preset", f"preset: {preset!r} is unknown; allowed are {', '.join(cls.presets)}.")
    below = dict(cls.presets[preset]) if preset else {}
    if "steps" in values:
        below.pop("minutes", None)
    return cls.parse({**below, **values})


def stored_values(family: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A family's settings as they were stored, with what they mean by leaving out what did not exist on their day."""
    fields = FAMILIES[family].model_fields
    before = {name: off for name, off in _BEFORE.items() if name in fields}
    return {**before, **_BEFORE_IN_FAMILY.get(family, {}), **values}


def parse_stored_settings(family: str, values: Mapping[str, Any]) -> FamilySettings:
    """A family's settings as they were stored, by this version or an earlier one.

    Raises:
        InputError: a setting that this version refuses.
    """
    return FAMILIES[family].parse(stored_values(family, values))
