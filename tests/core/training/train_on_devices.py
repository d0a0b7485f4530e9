"""A small training on one device and on two virtual CPUs, in a process of its own: `CORPUS FOLDER [CHECKPOINT]`.

Writes what the test compares as `BACKEND.npz`, and the trained model as `BACKEND.cadenza`. With a checkpoint, made
under the other library, it composes with that as well.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras
import numpy as np

from core.datasets.corpus import Corpus
from core.modeling.backend import jit, to_device, to_numpy
from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.modeling.parallel import OneDevice, training_devices
from core.sampling.composer import Composer
from core.sampling.settings import TakeSettings
from core.training.event_step import EventStep
from core.training.run import SilentHooks, train
from core.training.settings import EventSettings, LstmSettings, TransformerSettings
from core.training.windows import EventWindows

_COMMON = {"steps": 20, "window": 48, "batch_size": 6, "learning_rate": 0.01, "warmup_steps": 3, "average": 0.9}
_LSTM = LstmSettings.parse({**_COMMON, "embedding": 8, "units": 24, "dropout": 0.2})
# No dropout here: each device draws its own masks from its own key.
_TRANSFORMER = TransformerSettings.parse({**_COMMON, "units": 32, "layers": 2, "heads": 2, "context": 32})


def two_cpus() -> None:
    """Make two devices of one CPU; JAX has been told by its flag."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        virtual = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], virtual)


def losses(settings: EventSettings, corpus: Corpus, *, alone: bool) -> list[float]:
    """Of the first eight steps."""
    devices = OneDevice() if alone else training_devices(settings.batch_size)
    assert devices.count == (1 if alone else 2)
    step = EventStep(build_network(settings), settings, devices)
    windows = EventWindows(list(corpus.pieces("train")), settings)
    trees, found = step.begin(initial_weights(settings)), []
    for number in range(8):
        trees, loss = step.advance(trees, windows.batch(number), number)
        found.append(loss)
    return [*found, float(np.abs(to_numpy(step.measured(trees)["output.kernel"])).sum())]


if __name__ == "__main__":
    two_cpus()
    corpus, folder = Corpus.from_bytes(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2])
    backend = keras.backend.backend()
    found = {
        f"{settings.family}-{'one' if alone else 'two'}": losses(settings, corpus, alone=alone)
        for settings in (_LSTM, _TRANSFORMER)
        for alone in (True, False)
    }
    model = train(_TRANSFORMER, corpus, SilentHooks()).best
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
