"""What a person chooses for an evaluation. Light: no Keras in here."""

from __future__ import annotations

from typing import Literal

from core.fields import PersonSettings, setting

MOST_TAKES = 1_000
DEFAULT_TAKES = 64


class EvaluationSettings(PersonSettings):
    """What is measured, on what, and by which takes."""

    split: Literal["validation", "test"] = setting(
        "validation",
        "Held-out pieces",
        "Test pieces stay honest only if nothing was ever chosen by them.",
        choices={"validation": "validation", "test": "test"},
    )
    takes: int = setting(
        DEFAULT_TAKES,
        "Takes",
        "Composed to be measured; 0 measures the likelihood alone.",
        unit="takes",
        ge=0,
        le=MOST_TAKES,
    )
    notes: int = setting(
        200, "Notes", "Length of each take, and of the real excerpts beside them.", unit="notes", ge=16, le=5_000
    )
    temperature: float = setting(1.0, "Temperature", "1 is what the model has learned.", advanced=True, ge=0.05, le=5)
    top_p: float = setting(
        1.0, "Top p", "Choose among the likeliest events of this probability.", advanced=True, gt=0, le=1
    )
    first_seed: int = setting(
        0,
        "First seed",
        "The takes have successive seeds, the same for every model.",
        advanced=True,
        ge=0,
        le=2**32 - 1 - MOST_TAKES,
    )

    @property
    def seeds(self) -> str:
        """The takes' seeds as a generation names them."""
        return f"{self.first_seed}-{self.first_seed + self.takes - 1}"
