"""Small music for trainings, and hooks that remember what they were told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest

from core.datasets.corpus import Corpus, Split
from core.kept import Kept
from core.modeling.checkpoints import Checkpoint
from core.music.notes import Notes
from core.training.hooks import SilentHooks, TrainingPoint, TrainingProgress


class RememberingHooks(SilentHooks):
    """Keeps everything in memory; asks to stop when `stop` says so."""

    def __init__(self, stop: Callable[[int], bool] = lambda calls: False) -> None:
        self.stop = stop
        self.calls = 0
        self.resume: bytes | None = None
        self.resume_steps: list[int] = []
        self.points: list[TrainingPoint] = []
        self.latest: TrainingProgress | None = None
        self.told = 0
        self.checkpoints: dict[str, Checkpoint] = {}
        self.lines: list[str] = []

    def progress(self, progress: TrainingProgress) -> None:
        self.latest = progress
        self.told += 1

    def point(self, point: TrainingPoint) -> None:
        self.points.append(point)

    def save_resume(self, data: bytes, step: int) -> None:
        self.resume = data
        self.resume_steps.append(step)

    def load_resume(self) -> bytes | None:
        return self.resume

    def save_checkpoint(self, kind: Literal["best", "last"], checkpoint: Checkpoint) -> None:
        self.checkpoints[kind] = checkpoint

    def load_best(self) -> Checkpoint | None:
        return self.checkpoints.get("best")

    def log(self, text: str) -> None:
        self.lines.append(text)

    def interrupted(self) -> bool:
        self.calls += 1
        return self.stop(self.calls)


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of networks so small that they take longer to compile than to run; none of them is kept for other tests."""
    monkeypatch.setattr("core.modeling.parallel.jit", lambda function, **_: function)
    monkeypatch.setattr("core.training.event_program._kept", Kept(4))


@pytest.fixture
def make_hooks() -> type[RememberingHooks]:
    return RememberingHooks


def made_piece(seed: int, notes: int) -> Notes:
    """A melody that wanders up and down a scale, with a few chords."""
    generator = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    degrees = np.clip(np.cumsum(generator.integers(-2, 3, notes)) + 14, 0, 34)
    steps = generator.choice([0.0, 0.25, 0.5], notes, p=[0.2, 0.5, 0.3])
    return Notes.of(
        np.cumsum(steps),
        generator.choice([0.2, 0.4], notes),
        36 + 12 * (degrees // 7) + scale[degrees % 7],
        generator.choice([50, 70, 90], notes),
    )


def made_corpus(train: int = 4, validation: int = 3, notes: int = 60) -> Corpus:
    """Pieces of different lengths."""
    splits: list[Split] = ["train"] * train + ["validation"] * validation
    return Corpus.of([made_piece(number, notes + 7 * number) for number in range(len(splits))], splits)


@pytest.fixture
def make_corpus() -> Callable[..., Corpus]:
    return made_corpus


@pytest.fixture
def make_piece() -> Callable[[int, int], Notes]:
    return made_piece
