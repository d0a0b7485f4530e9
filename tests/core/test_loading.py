"""What is loaded at once is not searched for garbage."""

from __future__ import annotations

import gc

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
