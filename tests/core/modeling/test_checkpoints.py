"""Stored models: exact, bounded, and refused with a sentence when they do not fit."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.errors import CheckpointError
from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.modeling.shapes import parameter_count
from core.training.settings import FAMILIES, LstmSettings, TutorialSettings, parse_training_settings

_SMALL = {
    "lstm": {"embedding": 8, "units": 8, "layers": 2},
    "gru": {"embedding": 8, "units": 8},
    "conv1d": {"units": 8, "layers": 2, "kernel": 3},
    "wavenet": {"units": 8, "layers": 3, "cycle": 2},
    "transformer": {"units": 16, "heads": 2, "layers": 1, "context": 20},
    "tutorial": {},
}


def _checkpoint(seed: int = 0) -> Checkpoint:
    settings = LstmSettings(embedding=8, units=8, layers=2, seed=seed)
    values = settings.model_dump(mode="json")
    return Checkpoint("lstm", "performance", values, initial_weights(settings), {"held_out_nats_per_event": 2.5})


_DATA = _checkpoint().to_bytes()


def _rewritten(change: dict[str, object]) -> bytes:
    """The stored checkpoint with some keys of its document changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_DATA)) as source, zipfile.ZipFile(buffer, "w") as target:
        for part in source.infolist():
            content = source.read(part)
            if part.filename == "model.json":
                content = json.dumps({**json.loads(content), **change}).encode()
            target.writestr(part, content)
    return buffer.getvalue()


def test_comes_back_whole_and_the_same_content_gives_the_same_bytes() -> None:
    checkpoint = _checkpoint()
    again = Checkpoint.from_bytes(checkpoint.to_bytes())
    assert (again.family, again.encoding, again.settings) == ("lstm", "performance", checkpoint.settings)
    assert again.figures == {"held_out_nats_per_event": 2.5}
    assert all((again.weights[name] == array).all() for name, array in checkpoint.weights.items())
    assert again.content_hash == checkpoint.content_hash
    assert again.to_bytes() == checkpoint.to_bytes() == _DATA


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_comes_back_with_the_same_bytes(family: str) -> None:
    settings = parse_training_settings(family, _SMALL[family])
    generator = np.random.default_rng(3)
    # Values of every size, the least and the largest that are numbers among them.
    weights = {
        name: (generator.normal(size=array.shape) * 10.0 ** generator.integers(-44, 38, array.shape)).astype(np.float32)
        for name, array in initial_weights(settings).items()
    }
    figures = {"held_out_nats_per_event": float(generator.random()), "step": 3.0}
    checkpoint = Checkpoint(family, settings.encoding, settings.model_dump(mode="json"), weights, figures)
    data = checkpoint.to_bytes()
    again = Checkpoint.from_bytes(data)
    assert again.to_bytes() == data
    assert (again.family_settings, again.figures) == (settings, figures)
    assert {name: array.tobytes() for name, array in again.weights.items()} == {
        name: array.tobytes() for name, array in weights.items()
    }
    assert again.content_hash == checkpoint.content_hash


def test_the_hash_is_of_what_decides_the_music() -> None:
    checkpoint = _checkpoint()
    same = replace(
        checkpoint, figures={"other": 1.0}, settings={**checkpoint.settings, "learning_rate": 0.5, "seed": 9}
    )
    assert same.content_hash == checkpoint.content_hash
    weights = {name: array.copy() for name, array in checkpoint.weights.items()}
    weights["output.bias"][3] += np.float32(1e-6)
    assert replace(checkpoint, weights=weights).content_hash != checkpoint.content_hash


def _weights_of_then(settings: LstmSettings) -> dict[str, NDArray[np.float32]]:
    """What training began with in those days: uniform numbers, also for the events."""
    generator = np.random.default_rng([settings.seed, 0])
    weights = initial_weights(settings)
    for name, array in weights.items():
        if name.endswith(("embedding", ".kernel")):
            limit = 1.0 if name == "embedding" else np.sqrt(6 / sum(array.shape))
            weights[name] = generator.uniform(-limit, limit, array.shape).astype(np.float32)
        elif name.endswith(".recurrent"):
            q, r = np.linalg.qr(generator.normal(size=array.shape[::-1]))
            weights[name] = (q * np.sign(np.diagonal(r))).T.astype(np.float32)
    return weights


def test_a_model_from_before_there_was_sounding_stays_what_it_was() -> None:
    settings = LstmSettings(embedding=8, units=8, layers=2, sounding=False)
    values = settings.model_dump(mode="json")
    named = Checkpoint("lstm", "performance", values, _weights_of_then(settings))
    earlier = replace(named, settings={name: value for name, value in values.items() if name != "sounding"})
    again = Checkpoint.from_bytes(earlier.to_bytes())
    assert again.family_settings == settings
    # The hash that it had then.
    assert (
        again.content_hash == named.content_hash == "5a795d319fac636aac61bb423e8d8f6de9c38c8ae8714260c81996544fd855b9"
    )
    sounding = initial_weights(LstmSettings(embedding=8, units=8, layers=2))
    assert set(sounding) - set(named.weights) == {"sounding.kernel", "sounding.bias", "beside.kernel"}
    assert {name for name, array in named.weights.items() if array.shape != sounding[name].shape} == {
        "output.kernel",
        "output.bias",
    }


def test_counts_parameters() -> None:
    assert parameter_count(TutorialSettings()) == 84_354
    assert _checkpoint().parameters == sum(array.size for array in _checkpoint().weights.values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 99}, "format 99"),
        ({"family": "organ"}, "'organ'"),
        ({"encoding": "tutorial"}, "'tutorial'"),
        ({"settings": {"units": 16, "embedding": 8, "layers": 2, "sounding": True}}, "needed is float32 of"),
        ({"settings": {"units": 8, "embedding": 8, "layers": 1, "sounding": True}}, "differ in lstm_1"),
        ({"settings": {"units": -4}}, "units"),
        ({"settings": []}, "damaged"),
        ({"figures": {"loss": "low"}}, "figure"),
    ],
)
def test_says_what_does_not_fit(change: dict[str, object], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        Checkpoint.from_bytes(_rewritten(change))


def test_refuses_weights_that_are_no_numbers() -> None:
    checkpoint = _checkpoint()
    checkpoint.weights["output.bias"][0] = np.nan
    with pytest.raises(CheckpointError, match=r"output\.bias"):
        Checkpoint.from_bytes(checkpoint.to_bytes())


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all" * 50, _DATA[:-100], _DATA[: len(_DATA) // 2]])
def test_refuses_what_is_no_checkpoint(data: bytes) -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        Checkpoint.from_bytes(data)


def test_refuses_what_expands_or_runs_code() -> None:
    for name, content, kind in (
        ("weights/output.bias.npy", bytes(50_000_000), zipfile.ZIP_DEFLATED),
        ("weights/output.bias.npy", _pickled(), zipfile.ZIP_STORED),
        ("weights/output.bias.npy", _huge_header(), zipfile.ZIP_STORED),
    ):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as target:
            target.writestr("model.json", b"{}")
            target.writestr(name, content, kind)
        with pytest.raises(CheckpointError):
            Checkpoint.from_bytes(buffer.getvalue())


@given(st.integers(0, len(_DATA) - 1), st.integers(1, 255))
@budget(max_examples=150)
def test_a_flipped_byte_is_noticed_or_harmless(place: int, flip: int) -> None:
    data = bytearray(_DATA)
    data[place] ^= flip
    try:
        checkpoint = Checkpoint.from_bytes(bytes(data))
    except CheckpointError:
        return
    assert checkpoint.content_hash == _checkpoint().content_hash


def test_the_web_process_needs_no_keras_for_any_of_this() -> None:
    code = (
        "import sys; import core.modeling.checkpoints, core.training.estimate, core.training.hooks,"
        "core.sampling.facts, core.sampling.finishing; assert not {'tensorflow', 'keras', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def _pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([object], dtype=object), allow_pickle=True)
    return stream.getvalue()


def _huge_header() -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)})
    return stream.getvalue()
