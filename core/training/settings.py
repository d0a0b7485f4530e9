"""What a person chooses for a training: one class per model family, with presets. Light: no Keras in here."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from core.errors import InputError
from core.fields import PersonSettings, setting

LARGEST_SEED = 2**32 - 1


class FamilySettings(PersonSettings):
    """What all families share. `family` and `encoding` are fixed by the class."""

    family: ClassVar[str]
    encoding: ClassVar[Literal["tutorial", "performance"]]
    summary: ClassVar[str]
    presets: ClassVar[dict[str, dict[str, Any]]]

    seed: int = setting(0, "Seed", "The same seed and data give the same weights.", ge=0, le=LARGEST_SEED)
    files: int = setting(0, "Pieces", "Train on the first N training pieces; 0 means all.", ge=0, le=1_000_000)


class TutorialSettings(FamilySettings):
    """The article's network, to the letter."""

    family = "tutorial"
    encoding = "tutorial"
    summary = (
        "The network of the article: 25 notes of (pitch, step, duration) in, one LSTM of 128 units, "
        "three heads. Quick to train and a good first thing to listen to."
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {"Article": {}, "Quick": {"epochs": 5}}

    files: int = setting(5, "Pieces", "Train on the first N training pieces; 0 means all.", ge=0, le=1_000_000)
    window: int = setting(
        25, "Window", "Notes that the network sees before it predicts the next.", unit="notes", ge=2, le=200
    )
    epochs: int = setting(50, "Epochs", "Passes over all windows.", ge=1, le=10_000)
    batch_size: int = setting(64, "Batch", "Windows per step.", unit="windows", ge=1, le=4096)
    learning_rate: float = setting(0.005, "Learning rate", "Of Adam.", advanced=True, gt=0, le=1)
    patience: int = setting(
        5,
        "Patience",
        "Stop after so many epochs without a better loss; 0 never stops early.",
        unit="epochs",
        ge=0,
        le=10_000,
    )


class LstmSettings(FamilySettings):
    """A stack of LSTM layers over the performance events."""

    family = "lstm"
    encoding = "performance"
    summary = (
        "Reads and writes every key press, release, pause and loudness as an event, with an LSTM's memory of what came "
        "before. Choose it first: it is fast on a CPU and keeps time and dynamics."
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "Starter": {"embedding": 64, "units": 256, "layers": 1, "steps": 2_000, "evaluate_every": 250},
        "Standard": {
            "embedding": 128, "units": 512, "layers": 1, "steps": 6_000, "dropout": 0.1, "window": 256,
            "batch_size": 32, "learning_rate": 0.003, "warmup_steps": 200,
        },
        "Large": {
            "embedding": 256, "units": 1024, "layers": 2, "steps": 40_000, "dropout": 0.2, "window": 512,
            "batch_size": 64, "learning_rate": 0.001, "warmup_steps": 1_000,
        },
    }  # fmt: skip

    embedding: int = setting(64, "Embedding", "Numbers that stand for one event.", ge=8, le=2048)
    units: int = setting(256, "Units", "Width of each LSTM layer.", ge=8, le=4096)
    layers: int = setting(1, "Layers", "LSTM layers on top of each other.", ge=1, le=8)
    dropout: float = setting(0.0, "Dropout", "Share of values dropped between layers in training.", ge=0, lt=0.9)
    steps: int = setting(2_000, "Steps", "Batches to train on.", ge=1, le=10_000_000)
    batch_size: int = setting(16, "Batch", "Windows per step.", unit="windows", ge=1, le=4096)
    window: int = setting(64, "Window", "Events per window.", unit="events", ge=8, le=8192)
    learning_rate: float = setting(0.01, "Learning rate", "Highest, after the warm-up.", advanced=True, gt=0, le=1)
    warmup_steps: int = setting(
        50, "Warm-up", "Steps until the highest learning rate.", advanced=True, ge=0, le=1_000_000
    )
    weight_decay: float = setting(0.01, "Weight decay", "Of AdamW.", advanced=True, ge=0, le=1)
    clip_norm: float = setting(
        1.0, "Gradient clip", "Largest norm of all gradients together.", advanced=True, gt=0, le=1000
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


FAMILIES: dict[str, type[FamilySettings]] = {cls.family: cls for cls in (LstmSettings, TutorialSettings)}


def parse_training_settings(family: str, values: dict[str, Any], preset: str = "") -> FamilySettings:
    """Validate a family's settings, with a preset's values below those given.

    Raises:
        InputError: unknown family or preset, or a setting outside its range.
    """
    if family not in FAMILIES:
        raise InputError.of("family", f"family: {family!r} is unknown; allowed are {', '.join(FAMILIES)}.")
    cls = FAMILIES[family]
    if preset and preset not in cls.presets:
        raise InputError.of("preset", f"preset: {preset!r} is unknown; allowed are {', '.join(cls.presets)}.")
    return cls.parse({**(cls.presets[preset] if preset else {}), **values})
