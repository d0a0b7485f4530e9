"""What is known about sampling without loading Keras."""

from __future__ import annotations

from core.training.settings import FamilySettings, TutorialSettings

# Part of every take's provenance: raised whenever the same model, seed and settings give other music than before.
SAMPLER_VERSION = "2"


def least_primer_notes(settings: FamilySettings) -> int:
    """How many notes a primer needs at least; 0 where a take can begin from nothing."""
    return settings.window if isinstance(settings, TutorialSettings) else 0
