"""`python -m benchmarks.train_tutorial_once ours|article ZIP EPOCHS`: train the article's network in a fresh process.

Both begin with the same notes in memory and libraries loaded; building the windows, compilation and all epochs count.
Prints one line of JSON: `seconds`, `windows`, `first_epoch_seconds`, `epoch_seconds` (median of the others), `loss`.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.music import Music
from core.music.notes import Notes
from core.music.reading import read_midi

_FILES = 5
_WINDOW = 25
_BATCH = 64
_RATE = 0.005


def main() -> None:
    """Train once."""
    side, path, epochs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    files = Music("", path.read_bytes()).files()[:_FILES]
    pieces = [read_midi(data).notes for data in files]
    print(json.dumps({"ours": _ours, "article": _article}[side](pieces, epochs)))


def _ours(pieces: list[Notes], epochs: int) -> dict[str, Any]:
    from core.datasets.corpus import Corpus
    from core.training.hooks import SilentHooks, TrainingPoint
    from core.training.run import train
    from core.training.settings import TutorialSettings

    ends: list[float] = []

    class Hooks(SilentHooks):
        def point(self, point: TrainingPoint) -> None:
            ends.append(time.perf_counter())

    settings = TutorialSettings(
        files=0, window=_WINDOW, batch_size=_BATCH, learning_rate=_RATE, epochs=epochs, patience=0
    )
    corpus = Corpus.of(pieces, ["train"] * len(pieces))
    started = time.perf_counter()
    result = train(settings, corpus, Hooks())
    windows = sum(len(piece) - _WINDOW for piece in pieces)
    return _figures(started, ends, windows, result.last.figures["train_loss"])


def _article(pieces: list[Notes], epochs: int) -> dict[str, Any]:
    """The article's pipeline: all notes in one stream, windows of `tf.data`, `fit` with Keras's own layers."""
    import keras
    import tensorflow as tf

    from core.encoding.tutorial import to_triples

    notes = np.concatenate([to_triples(piece) for piece in pieces])
    ends: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            ends.append(time.perf_counter())

    def scale_and_split(window: Any) -> Any:
        inputs = window[:-1] / tf.constant([128.0, 1.0, 1.0])
        return inputs, {"pitch": window[-1, 0], "step": window[-1, 1], "duration": window[-1, 2]}

    def positive_error(wanted: Any, given: Any) -> Any:
        return tf.reduce_mean((wanted - given) ** 2 + 10.0 * tf.maximum(-given, 0.0))

    started = time.perf_counter()
    stream = tf.data.Dataset.from_tensor_slices(notes)
    windows = stream.window(_WINDOW + 1, shift=1, stride=1, drop_remainder=True)
    windows = windows.flat_map(lambda window: window.batch(_WINDOW + 1, drop_remainder=True))
    examples = windows.map(scale_and_split, num_parallel_calls=tf.data.AUTOTUNE)
    count = len(notes) - _WINDOW
    batches = examples.shuffle(count).batch(_BATCH, drop_remainder=True).cache().prefetch(tf.data.AUTOTUNE)
    inputs = keras.Input((_WINDOW, 3))
    hidden = keras.layers.LSTM(128)(inputs)
    heads = {name: keras.layers.Dense(128 if name == "pitch" else 1, name=name)(hidden) for name in ("pitch", "step")}
    heads["duration"] = keras.layers.Dense(1, name="duration")(hidden)
    model = keras.Model(inputs, heads)
    pitch_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        optimizer=keras.optimizers.Adam(_RATE),
        loss={"pitch": pitch_loss, "step": positive_error, "duration": positive_error},
        loss_weights={"pitch": 0.05, "step": 1.0, "duration": 1.0},
    )
    history = model.fit(batches, epochs=epochs, callbacks=[Clock()], verbose=0)
    return _figures(started, ends, count, history.history["loss"][-1])


def _figures(started: float, ends: list[float], windows: int, loss: float) -> dict[str, Any]:
    later = np.diff(ends).tolist()
    return {
        "seconds": ends[-1] - started,
        "windows": windows,
        "first_epoch_seconds": ends[0] - started,
        "epoch_seconds": statistics.median(later) if later else 0.0,
        "loss": float(loss),
    }


if __name__ == "__main__":
    # Loaded before the clock runs, on both sides.
    import core.modeling.backend  # noqa: F401 - for its effect alone

    main()
