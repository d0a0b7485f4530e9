"""What a person chooses for a training of any family over performance events."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from core.fields import PersonSettings, setting

LARGEST_SEED = 2**32 - 1
MUON_ITERATIONS = 5
"""How often a step of Muon applies its polynomial; here, since estimates of time count its products without Keras."""


def batch_setting(size: int) -> Any:
    """The field of the batch, with a family's own default."""
    return setting(size, "Batch", "Windows per step.", unit="windows", ge=1, le=4096)


def window_setting(events: int) -> Any:
    """The field of the window, with a family's own default."""
    return setting(events, "Window", "Events per window.", unit="events", ge=8, le=8192)


def learning_rate_setting(highest: float) -> Any:
    """The field of the learning rate, with a family's own default."""
    return setting(highest, "Learning rate", "Highest, after the warm-up.", advanced=True, gt=0, le=1)


def warmup_setting(steps: int) -> Any:
    """The field of the warm-up, with a family's own default."""
    return setting(steps, "Warm-up", "Steps until the highest learning rate.", advanced=True, ge=0, le=1_000_000)


class FamilySettings(PersonSettings):
    """What all families share. `family`, `encoding` and the words are fixed by the class.

    Attributes:
        family: name in the API, in tables and in checkpoints.
        encoding: what the family reads and writes.
        summary: what it is and when to choose it, in two sentences.
        presets: name to the settings that differ from the defaults.
    """

    family: ClassVar[str]
    encoding: ClassVar[Literal["tutorial", "performance"]]
    summary: ClassVar[str]
    presets: ClassVar[dict[str, dict[str, Any]]]

    seed: int = setting(0, "Seed", "The same seed, data and steps give the same weights.", ge=0, le=LARGEST_SEED)
    files: int = setting(0, "Pieces", "Train on the first N training pieces; 0 means all.", ge=0, le=1_000_000)

    @property
    def decided_in_training(self) -> frozenset[str]:
        """Names of settings that a training may hold otherwise than they were set."""
        return frozenset()


class EventSettings(FamilySettings):
    """What all families over performance events share: the data, the optimiser and when to stop."""

    encoding = "performance"

    steps: int = setting(2_000, "Steps", "Batches to train on.", ge=1, le=10_000_000)
    minutes: float = setting(
        0.0,
        "Time limit",
        "Where the steps would take longer on the worker's machine, fewer are planned; 0 sets no limit.",
        unit="min",
        ge=0,
        le=100_000,
    )
    batch_size: int = batch_setting(16)
    window: int = window_setting(64)
    sounding: bool = setting(
        True,
        "Knows what sounds",
        "The network is told which pitches sound and for how long, and leaves out events that no music has there. "
        "Fewer hanging notes, for a little more time at each step.",
        advanced=True,
    )
    dropout: float = setting(0.0, "Dropout", "Share of values dropped in training.", ge=0, lt=0.9)
    learning_rate: float = learning_rate_setting(0.01)
    warmup_steps: int = warmup_setting(50)
    optimizer: str = setting(
        "muon",
        "Optimiser",
        "How gradients change the weights. Muon learns much more in the same steps; small batches take longer with it.",
        advanced=True,
        choices={"muon": "Muon, AdamW at both ends", "adamw": "AdamW"},
        pattern="^(muon|adamw)$",
    )
    weight_decay: float = setting(
        0.01, "Weight decay", "Share taken off each matrix, times the rate.", advanced=True, ge=0, le=1
    )
    clip_norm: float = setting(
        1.0, "Gradient clip", "Largest norm of all gradients together.", advanced=True, gt=0, le=1000
    )
    average: float = setting(
        0.0,
        "Averaging",
        "Share that an average of the weights keeps at each step; the average is what is measured and stored. "
        "0 stores the weights themselves.",
        advanced=True,
        ge=0,
        lt=1,
    )
    precision: str = setting(
        "auto",
        "Precision",
        "Number format of the large products in training; weights and composing are always float32.",
        advanced=True,
        choices={"auto": "bfloat16 on a GPU that has it", "float32": "float32", "bfloat16": "bfloat16"},
        pattern="^(auto|float32|bfloat16)$",
    )
    transpose_semitones: int = setting(
        3,
        "Transposition",
        "Each window is moved by up to so many semitones.",
        unit="semitones",
        advanced=True,
        ge=0,
        le=12,
    )
    stretch: float = setting(
        0.05, "Time stretch", "Each window is played up to this share faster or slower.", advanced=True, ge=0, le=0.5
    )
    evaluate_every: int = setting(
        250, "Evaluate every", "Steps between two held-out figures.", unit="steps", ge=1, le=1_000_000
    )
    patience: int = setting(
        10,
        "Patience",
        "Stop after so many held-out figures without a better one; 0 never stops early.",
        ge=0,
        le=10_000,
    )

    @property
    def limit_seconds(self) -> float:
        """The time limit; infinite where there is none."""
        return self.minutes * 60 or float("inf")

    @property
    def decided_in_training(self) -> frozenset[str]:
        """What the training itself settles by the machine it runs on; its checkpoints tell how."""
        return frozenset({"precision", "steps", "evaluate_every", "minutes"} if self.minutes else {"precision"})
