"""What is known about sampling without loading Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.training.settings import FamilySettings, TutorialSettings

# Part of every take's provenance: raised whenever the same model, seed and settings give other music than before. Takes
# that lean towards a rate have one of their own, so that a better way to do that leaves all others repeatable.
SAMPLER_VERSION = "2"
_GUIDED_VERSION = "3"
_GUIDING = ("density", "pace", "follow_primer")


def sampler_version(settings: Mapping[str, Any]) -> str:
    """The version of the sampler that composes takes with such settings, by name as in `TakeSettings`."""
    return _GUIDED_VERSION if any(settings.get(name) for name in _GUIDING) else SAMPLER_VERSION


def least_primer_notes(settings: FamilySettings) -> int:
    """How many notes a primer needs at least; 0 where a take can begin from nothing."""
    return settings.window if isinstance(settings, TutorialSettings) else 0
