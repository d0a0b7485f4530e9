"""The article's network: (pitch, step, duration) of the last notes in, one LSTM, three heads."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree
from core.modeling.recurrence import lstm_sequence
from core.modeling.shapes import TUTORIAL_UNITS
from core.music.notes import PITCH_COUNT
from core.training.settings import TutorialSettings

HEADS = ("pitch", "step", "duration")
# What a note's three numbers are divided by before the network reads them.
SCALE = np.array([PITCH_COUNT, 1.0, 1.0], np.float32)


def tutorial_heads(weights: Tree, outputs: Tensor) -> dict[str, Tensor]:
    """The three heads of the LSTM's last outputs `[batch, 128]`.

    Returns:
        `pitch`: logits `[batch, 128]`; `step` and `duration`: `[batch]`, seconds.
    """
    heads = {name: ops.matmul(outputs, weights[f"{name}.kernel"]) + weights[f"{name}.bias"] for name in HEADS}
    return {"pitch": heads["pitch"], "step": heads["step"][:, 0], "duration": heads["duration"][:, 0]}


def tutorial_forward(weights: Tree, windows: Tensor) -> dict[str, Tensor]:
    """What follows each window, from zero state.

    Args:
        weights: name to tensor, as `weight_shapes` lists them.
        windows: float32 `[batch, window, 3]`, already divided by `SCALE`.

    Returns:
        As `tutorial_heads`.
    """
    zeros = ops.zeros((windows.shape[0], TUTORIAL_UNITS))
    inputs = ops.matmul(ops.transpose(windows, (1, 0, 2)), weights["lstm_0.kernel"]) + weights["lstm_0.bias"]
    _, h, _ = lstm_sequence(inputs, zeros, zeros, weights["lstm_0.recurrent"])
    return tutorial_heads(weights, h)


def build_keras_model(settings: TutorialSettings, weights: dict[str, NDArray[np.float32]]) -> keras.Model:
    """The same network of Keras's own layers, whose `predict` is the reference for training and generation."""
    windows = keras.Input((settings.window, 3))
    outputs = keras.layers.LSTM(TUTORIAL_UNITS, name="lstm_0")(windows)
    heads = {name: keras.layers.Dense(PITCH_COUNT if name == "pitch" else 1, name=name)(outputs) for name in HEADS}
    model = keras.Model(windows, heads)
    parts = {"lstm_0": ("kernel", "recurrent", "bias"), **dict.fromkeys(HEADS, ("kernel", "bias"))}
    for layer, names in parts.items():
        model.get_layer(layer).set_weights([weights[f"{layer}.{name}"] for name in names])
    return model
