"""Model families, their presets and settings."""

from __future__ import annotations

from core.training.settings import FAMILIES
from webui.api.blueprint import api
from webui.api.schemas.trainings import FamiliesOutput, FamilyOutput


@api.get("/families")
@api.output(FamiliesOutput)
def list_families() -> FamiliesOutput:
    """List the model families with their presets and the schema of their settings."""
    return FamiliesOutput(items=[FamilyOutput.of(family) for family in FAMILIES.values()])
