"""Untrained models that compose lively music: what a network has learned does not change what its arithmetic costs."""

from __future__ import annotations

import numpy as np

from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.training.settings import LstmSettings, TutorialSettings


def tutorial_checkpoint() -> Checkpoint:
    """The article's network; its notes are about half a second apart."""
    settings = TutorialSettings()
    weights = initial_weights(settings)
    weights["step.bias"][:] = weights["duration.bias"][:] = 0.5
    return Checkpoint(settings.family, settings.encoding, settings.model_dump(mode="json"), weights)


def lstm_checkpoint(embedding: int, units: int) -> Checkpoint:
    """One plain LSTM layer over events, as its peers have, whose outputs differ enough not to be noise alone."""
    settings = LstmSettings(embedding=embedding, units=units, layers=1, sounding=False)
    weights = initial_weights(settings)
    weights["output.kernel"] = (weights["output.kernel"] * 3).astype(np.float32)
    return Checkpoint(settings.family, settings.encoding, settings.model_dump(mode="json"), weights)
