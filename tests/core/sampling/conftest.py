"""Small models that compose, their weights large enough for their events to differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.music.notes import Notes
from core.ready.shipped import ready_checkpoint
from core.training.settings import FamilySettings, LstmSettings, TutorialSettings


def _checkpoint(settings: FamilySettings, larger: float) -> Checkpoint:
    weights = {
        name: (array * (1.0 if "recurrent" in name else larger)).astype(np.float32)
        for name, array in initial_weights(settings).items()
    }
    # It begins at 0, where it would not matter.
    if "beside.kernel" in weights:
        shape = weights["beside.kernel"].shape
        weights["beside.kernel"] = np.random.default_rng(4).normal(0, 0.3, shape).astype(np.float32)
    return Checkpoint(settings.family, settings.encoding, settings.model_dump(mode="json"), weights)


@pytest.fixture(scope="session")
def events_checkpoint() -> Checkpoint:
    return _checkpoint(LstmSettings(embedding=16, units=24, layers=2, seed=3), 3.0)


@pytest.fixture(scope="session")
def plain_events_checkpoint() -> Checkpoint:
    return _checkpoint(LstmSettings(embedding=16, units=24, layers=2, seed=3, sounding=False), 3.0)


@pytest.fixture(scope="session")
def tutorial_checkpoint() -> Checkpoint:
    checkpoint = _checkpoint(TutorialSettings(seed=3), 2.0)
    # As a trained one it moves on in time, and its notes last.
    checkpoint.weights["step.bias"][:] = checkpoint.weights["duration.bias"][:] = 2.0
    return checkpoint


@pytest.fixture(scope="session")
def events_composer(events_checkpoint: Checkpoint) -> Any:
    from core.sampling.composer import Composer

    return Composer(events_checkpoint)


@pytest.fixture(scope="session")
def plain_events_composer(plain_events_checkpoint: Checkpoint) -> Any:
    from core.sampling.composer import Composer

    return Composer(plain_events_checkpoint)


@pytest.fixture(scope="session")
def tutorial_composer(tutorial_checkpoint: Checkpoint) -> Any:
    from core.sampling.composer import Composer

    return Composer(tutorial_checkpoint)


@pytest.fixture(scope="session")
def ready_composer() -> Any:
    """Of the transformer that comes along, with weights as training leaves them."""
    from core.sampling.composer import Composer

    return Composer(Checkpoint.from_bytes(ready_checkpoint()))


@pytest.fixture(scope="session")
def primer() -> Notes:
    generator = np.random.default_rng(8)
    return Notes.of(
        np.cumsum(generator.choice([0.0, 0.25, 0.5], 30)),
        generator.choice([0.2, 0.6], 30),
        generator.permutation(np.arange(50, 80)),
        generator.choice([40, 90], 30),
    )
