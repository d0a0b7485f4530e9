"""Several devices give the losses of one; what is trained under one library composes under the other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.datasets.corpus import Corpus
from core.modeling.backend import jit, to_device, to_numpy
from core.modeling.checkpoints import Checkpoint
from core.modeling.layers import dropped
from core.modeling.network import build_network
from core.music.notes import Notes
from core.sampling.composer import Composer
from core.sampling.settings import TakeSettings
from core.training.settings import GruSettings, TransformerSettings
from tests.tools.haste import HASTY_FLAGS, hasty_environment

pytestmark = pytest.mark.slow

_PROGRAM = Path(__file__).with_name("train_on_devices.py")


def _run(backend: str, folder: Path, *others: Path) -> dict[str, np.ndarray]:
    two = f"{HASTY_FLAGS} --xla_force_host_platform_device_count=2"  # for JAX; TensorFlow makes its own two
    environment = hasty_environment(KERAS_BACKEND=backend, JAX_PLATFORMS="cpu", XLA_FLAGS=two)
    # A test that composed before in this process has left word that its devices are cores, which share no training.
    environment.pop("TF_OVERRIDE_GLOBAL_THREADPOOL", None)
    command = [sys.executable, str(_PROGRAM), str(folder / "corpus"), str(folder), *map(str, others)]
    subprocess.run(command, check=True, timeout=600, env=environment)
    with np.load(folder / f"{backend}.npz") as arrays:
        return dict(arrays)


def test_two_devices_and_two_libraries_agree(tmp_path: Path, make_corpus: Callable[..., Corpus]) -> None:
    (tmp_path / "corpus").write_bytes(make_corpus(train=4, validation=2).to_bytes())
    found = {"tensorflow": _run("tensorflow", tmp_path)}
    tensorflow_model = tmp_path / "tensorflow.cadenza"
    found["jax"] = _run("jax", tmp_path, tensorflow_model)
    for library, arrays in found.items():
        for family in ("transformer", "gru", "lstm", "conv1d", "wavenet"):
            one, two = arrays[f"{family}_one"], arrays[f"{family}_two"]
            assert one[-1] < one[0], (library, family)
            np.testing.assert_allclose(two, one, atol=1e-5, err_msg=f"{library} {family}")
            assert arrays[f"{family}_apart"] < 1e-3, (library, family)
            # Paused half-way on both devices and gone on with there.
            again = arrays[f"{family}_again"]
            np.testing.assert_array_equal(again, two[-len(again) :], err_msg=f"{library} {family}")
    # The same numbers under both: weights and masks are drawn alike, and only rounding differs.
    np.testing.assert_allclose(found["jax"]["gru_one"], found["tensorflow"]["gru_one"], atol=1e-4)

    # Trained under TensorFlow, composed under JAX; and the other way round, in this process.
    assert found["jax"]["pitch"].size == 20
    np.testing.assert_allclose(found["jax"]["logits"], _logits(tensorflow_model), atol=1e-4)
    takes: dict[int, Notes] = {}
    jax_model = Checkpoint.from_bytes((tmp_path / "jax.cadenza").read_bytes())
    Composer(jax_model).compose([(1, 1.0)], TakeSettings(length=20), None, takes.__setitem__, lambda: False)
    assert len(takes[0]) == 20


def _logits(path: Path) -> np.ndarray:
    model = Checkpoint.from_bytes(path.read_bytes())
    events = np.random.default_rng(0).integers(0, 390, (1, 50)).astype(np.int32)
    network = build_network(model.family_settings)
    return to_numpy(jit(network.sequence)(to_device(model.weights), events, None)[0])


def test_each_device_gets_masks_for_its_part_of_the_batch() -> None:
    # Drawn on the host: together they are those of one device.
    recurrent = build_network(GruSettings(embedding=8, units=8, dropout=0.5))
    whole = recurrent.dropout_masks(np.random.default_rng(1), 6)
    assert whole is not None
    np.testing.assert_array_equal(np.concatenate(recurrent.split_masks(whole, 2), axis=1), whole)
    # Drawn on the devices, by keys of their own: other numbers on each, and the same again.
    keyed = build_network(TransformerSettings(units=16, layers=1, heads=2, dropout=0.5))
    key = keyed.dropout_masks(np.random.default_rng(1), 6)
    assert key is not None
    ours, theirs, again = (
        to_numpy(dropped(np.ones((3, 40, 16), np.float32), part, 0, 0.5))
        for part in (*keyed.split_masks(key, 2), keyed.split_masks(key, 2)[1])
    )
    np.testing.assert_array_equal(theirs, again)
    assert 0.4 < (ours != theirs).mean() < 0.6
