"""The article's network."""

from __future__ import annotations

import numpy as np
import pytest

from core.modeling.backend import jit, to_device, to_numpy
from core.modeling.initial import initial_weights
from core.modeling.tutorial import build_keras_model, tutorial_forward
from core.training.settings import TutorialSettings

pytestmark = pytest.mark.slow


def test_has_the_articles_84_354_parameters_and_gives_what_keras_layers_give() -> None:
    settings = TutorialSettings(seed=4)
    weights = initial_weights(settings)
    model = build_keras_model(settings, weights)
    assert model.count_params() == sum(array.size for array in weights.values()) == 84_354
    windows = np.random.default_rng(0).random((9, 25, 3)).astype(np.float32)
    ours = jit(tutorial_forward)(to_device(weights), windows)
    theirs = model.predict(windows, verbose=0)
    np.testing.assert_allclose(to_numpy(ours["pitch"]), theirs["pitch"], atol=1e-5)
    for head in ("step", "duration"):
        np.testing.assert_allclose(to_numpy(ours[head]), theirs[head][:, 0], atol=1e-5)


def test_fresh_weights_follow_keras_defaults() -> None:
    settings = TutorialSettings(seed=4)
    ours = initial_weights(settings)
    recurrent = ours["lstm_0.recurrent"]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(128), atol=1e-5)
    assert (ours["lstm_0.bias"] == np.repeat(np.float32([0, 1, 0, 0]), 128)).all()
    limit = np.sqrt(6 / (128 + 128))
    assert 0.9 * limit < np.abs(ours["pitch.kernel"]).max() <= limit
    assert all((initial_weights(settings)[name] == array).all() for name, array in ours.items())
    assert (initial_weights(TutorialSettings(seed=5))["pitch.kernel"] != ours["pitch.kernel"]).any()
