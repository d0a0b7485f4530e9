"""A small training on one device and on two virtual CPUs, in a process of its own: `CORPUS FOLDER [CHECKPOINT]`.

Writes what the test compares as `BACKEND.npz`, and the trained model as `BACKEND.cadenza`. With a checkpoint, made
under the other library, it composes with that as well. For JAX a flag of XLA's has to name two devices.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

from core.datasets.corpus import Corpus
from core.modeling import parallel
from core.modeling.backend import jit, to_device, to_numpy
from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.modeling.parallel import OneDevice, training_devices
from core.sampling.composer import Composer
from core.sampling.settings import TakeSettings
from core.training.event_step import EventStep
from core.training.settings import (
    Conv1dSettings,
    EventSettings,
    GruSettings,
    LstmSettings,
    TransformerSettings,
    WavenetSettings,
)
from core.training.windows import EventWindows

_STEPS, _KEPT_AT = 8, 4
_COMMON = {"steps": 20, "window": 48, "batch_size": 6, "learning_rate": 0.01, "warmup_steps": 3, "average": 0.9}
# A transformer's dropout is drawn on the devices. Under JAX, where one program is shared out, it does not matter over
# how many; under TensorFlow each device draws its own, so there is none here.
_KEYED = 0.1 if keras.backend.backend() == "jax" else 0.0
_TRANSFORMER = TransformerSettings.parse(
    {**_COMMON, "units": 32, "layers": 1, "heads": 2, "context": 32, "dropout": _KEYED}
)
# A recurrent network's is drawn on the host, for all devices and under both libraries alike.
_RECURRENT = {**_COMMON, "window": 12, "embedding": 12, "units": 16, "layers": 2, "dropout": 0.3}
_GRU, _LSTM = GruSettings.parse(_RECURRENT), LstmSettings.parse(_RECURRENT)
# Theirs is drawn as the transformer's is.
_CONVOLVING = {**_COMMON, "window": 24, "units": 16, "layers": 2, "dropout": _KEYED}
_CONV1D, _WAVENET = (
    Conv1dSettings.parse({**_CONVOLVING, "kernel": 4}),
    WavenetSettings.parse({**_CONVOLVING, "cycle": 2}),
)


def two_cpus() -> None:
    """Make two devices of one CPU; JAX has been told by a flag."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        virtual = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], virtual)


def uncompiled() -> None:
    """Run TensorFlow's steps as they are traced: XLA would take longer for a small recurrence than its steps do."""
    if keras.backend.backend() == "tensorflow":
        parallel.jit = lambda function, **_: function


def losses(settings: EventSettings, corpus: Corpus, *, alone: bool) -> tuple[list[float], list[float], Checkpoint]:
    """Of some steps; of their last half once more, from a resume point's copies; and the model after them."""
    devices = OneDevice() if alone else training_devices(settings.batch_size)
    assert devices.count == (1 if alone else 2)
    step = EventStep(build_network(settings), settings, devices)
    windows = EventWindows(list(corpus.pieces("train")), settings)
    trees, found = step.begin(initial_weights(settings)), []
    for number in range(_STEPS):
        if number == _KEPT_AT:
            kept = step.host(trees)
        trees, loss = step.advance(trees, windows.batch(number), number)
        found.append(loss)
    trees, again = step.place(kept), []
    for number in range(_KEPT_AT, _STEPS):
        trees, loss = step.advance(trees, windows.batch(number), number)
        again.append(loss)
    weights = {name: to_numpy(array) for name, array in step.measured(trees).items()}
    return found, again, Checkpoint(settings.family, settings.encoding, settings.model_dump(mode="json"), weights)


if __name__ == "__main__":
    two_cpus()
    corpus, folder = Corpus.from_bytes(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2])
    backend = keras.backend.backend()
    found = {}
    for settings in (_TRANSFORMER, _GRU, _LSTM, _CONV1D, _WAVENET):
        if settings is _GRU:
            uncompiled()
        one, _, model = losses(settings, corpus, alone=True)
        two, again, other_model = losses(settings, corpus, alone=False)
        apart = max(np.abs(model.weights[name] - array).max() for name, array in other_model.weights.items())
        found |= {f"{settings.family}_one": one, f"{settings.family}_two": two, f"{settings.family}_apart": apart}
        found[f"{settings.family}_again"] = again
        if settings is _TRANSFORMER:
            (folder / f"{backend}.cadenza").write_bytes(model.to_bytes())
    for other in sys.argv[3:]:
        model = Checkpoint.from_bytes(Path(other).read_bytes())
        Composer(model).compose(
            [(1, 1.0)], TakeSettings(length=20), None, lambda _, notes: found.update(pitch=notes.pitch), lambda: False
        )
        network = build_network(model.family_settings)
        events = np.random.default_rng(0).integers(0, 390, (1, 50)).astype(np.int32)
        found["logits"] = to_numpy(jit(network.sequence)(to_device(model.weights), events, None)[0])
    np.savez(folder / f"{backend}.npz", **found)
