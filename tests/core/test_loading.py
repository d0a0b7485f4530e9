"""What is loaded at once is not searched for garbage, and is no more than what is needed."""

from __future__ import annotations

import gc
import importlib.util
import os
import subprocess
import sys
import types

import pytest

from core.loading import loading


@pytest.fixture(autouse=True)
def _thawed():
    yield
    gc.unfreeze()
    gc.enable()


def test_collects_nothing_while_it_loads_and_keeps_what_came():
    seen = []

    def count(phase: str, _facts: object) -> None:
        seen.append(phase)

    gc.callbacks.append(count)
    try:
        with loading():
            kept = [[number] for number in range(100_000)]
            assert seen == []
            assert not gc.isenabled()
    finally:
        gc.callbacks.remove(count)
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(kept)
    assert not any(found is kept for found in gc.get_objects()), "the collector looks through it no more"


def test_goes_on_collecting_after_an_error():
    with pytest.raises(RuntimeError), loading():
        raise RuntimeError
    assert gc.isenabled()


def test_leaves_a_collector_off_that_was_off():
    gc.disable()
    with loading():
        pass
    assert not gc.isenabled()


def test_what_libraries_load_unasked_is_hidden_from_them_meanwhile(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    for name in ("matplotlib", "jax"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        with loading(), pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
        assert name not in sys.modules
        assert importlib.util.find_spec(name)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with loading():
        assert "jax" not in sys.modules
    present = types.ModuleType("matplotlib")
    monkeypatch.setitem(sys.modules, "matplotlib", present)
    with loading():
        assert importlib.import_module("matplotlib") is present
    assert sys.modules["matplotlib"] is present


@pytest.mark.slow
def test_keras_needs_none_of_it():
    program = (
        "import importlib, sys\n"
        "from core.loading import loading\n"
        "with loading():\n"
        "    import core.sampling.composer\n"
        "print(*{'tensorflow', 'matplotlib', 'jax'} & set(sys.modules))\n"
        "importlib.import_module('matplotlib.pyplot')\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["tensorflow"]
