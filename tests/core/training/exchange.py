"""What both libraries do with every family: train a few steps, and read a window whole and event by event.

As a program, `FOLDER`: reads the models that the other library trained, `FAMILY.cadenza`, and `corpus` there; writes
its own beside them as `BACKEND-FAMILY.cadenza`, and what the test compares as `BACKEND.npz`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
from numpy.typing import NDArray

from core.datasets.corpus import Corpus
from core.encoding.performance import encode
from core.modeling import backend
from core.modeling.attention import attend, attend_window, window_mask
from core.modeling.backend import jax_attention, jit, scan, to_device, to_numpy
from core.modeling.checkpoints import Checkpoint
from core.modeling.device_memory import is_out_of_memory, out_of_memory_errors
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.modeling.parallel import OneDevice
from core.training.event_step import EventStep
from core.training.settings import EventSettings, parse_training_settings
from core.training.windows import EventWindows

FAMILIES: dict[str, dict[str, Any]] = {
    "lstm": {"embedding": 8, "units": 12, "layers": 2},
    "gru": {"embedding": 8, "units": 12, "layers": 2},
    "conv1d": {"units": 12, "layers": 2, "kernel": 3},
    "wavenet": {"units": 12, "layers": 4, "cycle": 3},
    "transformer": {"units": 16, "layers": 2, "heads": 2, "context": 10},
}
_COMMON = {"window": 12, "batch_size": 2, "learning_rate": 0.03, "warmup_steps": 0, "steps": 100, "average": 0.5}


def settings_of(family: str, **more: Any) -> EventSettings:
    """A network so small that an operation costs no more than its call."""
    settings = parse_training_settings(family, {**_COMMON, **FAMILIES[family], **more})
    assert isinstance(settings, EventSettings)
    return settings


def trained(family: str, corpus: Corpus, steps: int = 4) -> Checkpoint:
    """A model after so many steps."""
    settings = settings_of(family)
    step = EventStep(build_network(settings), settings, OneDevice())
    windows = EventWindows(list(corpus.pieces("train")), settings)
    fresh = initial_weights(settings)
    trees = step.begin(fresh)
    for number in range(steps):
        trees, _ = step.advance(trees, windows.batch(number), number)
    weights = {name: to_numpy(array) for name, array in step.measured(trees).items()}
    assert all((weights[name] != array).any() for name, array in fresh.items())
    return Checkpoint(family, settings.encoding, settings.model_dump(mode="json"), weights)


def events_of(corpus: Corpus) -> NDArray[np.int32]:
    """Held-out pieces one after the other, `[1, 600]`."""
    events = np.concatenate([encode(piece) for piece in corpus.pieces("validation")])
    return np.resize(events, (1, 600)).astype(np.int32)


def logits_of(events: NDArray[np.int32], *models: Checkpoint) -> list[NDArray[np.float32]]:
    """Of the whole window at once, by models of one family."""
    network = build_network(models[0].family_settings)
    first = network.initial_state(1)
    read = jit(lambda weights: network.sequence(weights, events, first)[0])
    return [to_numpy(read(to_device(model.weights))) for model in models]


def stepped_logits_of(model: Checkpoint, events: NDArray[np.int32]) -> NDArray[np.float32]:
    """The same, event by event."""
    network = build_network(model.family_settings)

    def all_steps(weights: Any) -> Any:
        prepared = network.prepare(weights)

        def one(state: Any, event: Any) -> tuple[Any, Any]:
            logits, state = network.step(prepared, event, state)
            return state, logits

        return scan(one, to_device(network.initial_state(1)), to_device(events.T))[1]

    return np.swapaxes(to_numpy(jit(all_steps)(to_device(model.weights))), 0, 1)


def attention_apart() -> float:
    """How far JAX's own attention is from the one written here."""
    queries, keys, values = np.random.default_rng(3).normal(size=(3, 2, 2, 40, 8)).astype(np.float32)
    ours = attend(queries, keys, values, window_mask(40, 12))
    theirs = jax_attention(*map(to_device, (queries, keys, values)), 12, "xla")
    return float(np.abs(to_numpy(ours) - to_numpy(theirs)).max())


def attends_without_cudnn() -> bool:
    """Whether a GPU without fused attention (as this machine, said to be one) attends all the same, while traced."""
    values = keras.ops.cast(to_device(np.random.default_rng(4).normal(size=(1, 2, 64, 16))), "bfloat16")
    with mock.patch.object(backend, "device_kind", return_value="gpu"):
        backend.fused_attention_refusal.cache_clear()
        found = jit(lambda each: attend_window(each, each, each, 32))(values)
        tried = backend.fused_attention_refusal.cache_info().misses == 1
        told = "cudnn" in backend.fused_attention_refusal(16).lower()
    backend.fused_attention_refusal.cache_clear()
    expected = attend(values, values, values, window_mask(64, 32))
    return tried and told and float(np.abs(to_numpy(keras.ops.cast(found - expected, "float32"))).max()) < 0.02


def full_memory_is_understood() -> bool:
    """Whether a request for more than an address space is told from another failure of a device."""
    import jax

    try:
        keras.ops.zeros((2**50,))
    except out_of_memory_errors() as error:
        told = is_out_of_memory(error)
    return told and not is_out_of_memory(jax.errors.JaxRuntimeError("INTERNAL: CUDA error: misaligned address"))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    library = keras.backend.backend()
    corpus = Corpus.from_bytes((folder / "corpus").read_bytes())
    events, found = events_of(corpus), {}
    for family in FAMILIES:
        own = trained(family, corpus)
        (folder / f"{library}-{family}.cadenza").write_bytes(own.to_bytes())
        theirs = Checkpoint.from_bytes((folder / f"{family}.cadenza").read_bytes())
        found[f"{family}_own"], found[f"{family}_theirs"] = logits_of(events, own, theirs)
        found[f"{family}_stepped"] = stepped_logits_of(theirs, events)
    if library == "jax":
        found["attention_apart"] = np.array(attention_apart())
        found["attends_without_cudnn"] = np.array(attends_without_cudnn())
        found["full_memory"] = np.array(full_memory_is_understood())
    np.savez(folder / f"{library}.npz", **found)
