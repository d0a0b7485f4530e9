"""Every family over events learns by the same code, and its models compose by the same loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.datasets.corpus import Corpus
from core.modeling.checkpoints import Checkpoint
from core.music.notes import Notes
from core.sampling.composer import Composer
from core.sampling.settings import TakeSettings
from core.training.run import train
from core.training.settings import parse_training_settings

pytestmark = pytest.mark.slow

_SMALL: dict[str, dict[str, Any]] = {
    "gru": {"embedding": 16, "units": 32},
    "conv1d": {"units": 32, "layers": 2, "kernel": 5},
    "wavenet": {"units": 32, "layers": 4, "cycle": 4},
    "transformer": {"units": 32, "layers": 2, "heads": 2, "context": 24},
}


@pytest.mark.parametrize("family", _SMALL)
def test_learns_and_composes(family: str, make_corpus: Callable[..., Corpus], make_hooks: Callable[..., Any]) -> None:
    common = {"steps": 60, "window": 64, "batch_size": 8, "learning_rate": 0.02, "warmup_steps": 5, "dropout": 0.05}
    settings = parse_training_settings(family, {**common, **_SMALL[family], "average": 0.9, "evaluate_every": 30})
    hooks = make_hooks()
    result = train(settings, make_corpus(train=6, validation=2), hooks)
    figures = [point.values["held_out_nats_per_event"] for point in hooks.points]
    assert figures[-1] < figures[0]
    assert figures[-1] < 4.6  # 390 events alike would be ln 390 = 5.97 nats
    assert result.best.settings["precision"] == "float32"
    stored = Checkpoint.from_bytes(result.best.to_bytes())
    takes: dict[int, Notes] = {}
    alone: dict[int, Notes] = {}
    composer = Composer(stored)
    composer.compose(
        [(seed, 1.0) for seed in range(9)], TakeSettings(length=30), None, takes.__setitem__, lambda: False
    )
    composer.compose([(8, 1.0)], TakeSettings(length=30), None, alone.__setitem__, lambda: False)
    assert all(len(notes) == 30 for notes in takes.values())
    for column in ("onset_seconds", "duration_seconds", "pitch", "velocity"):
        assert (getattr(takes[8], column) == getattr(alone[0], column)).all()
