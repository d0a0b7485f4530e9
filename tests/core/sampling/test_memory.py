"""Composing on a device whose memory is too small: in narrower blocks, every take once."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.errors import DeviceError
from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.music.notes import Notes
from core.sampling.composer import Composer
from core.sampling.settings import TakeSettings
from core.training.settings import GruSettings

pytestmark = pytest.mark.slow


def _full() -> Exception:
    """What TensorFlow raises of a compiled program for which there is no room."""
    import tensorflow as tf

    return tf.errors.InternalError(None, None, "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 64 bytes.")


class _SmallDevice:
    """Wraps a composer's loops: those with too many rows fail at their second run, as the library itself fails."""

    def __init__(self, composer: Composer, most_rows: int, error: Exception | None = None) -> None:
        self._make = composer._programs.loops
        self.most_rows = most_rows
        self._error = error or _full()
        self.widths: list[int] = []

    def loops(self, *arguments: Any, **more: Any) -> list[Any]:
        made = self._make(*arguments, **more)
        self.widths.append(made[0].rows)
        for loop in made:
            run, runs = loop.run, []

            def careful(*given: Any, loop: Any = loop, run: Any = run, runs: list[int] = runs) -> Any:
                runs.append(1)
                if loop.rows > self.most_rows and len(runs) > 1:
                    raise self._error
                return run(*given)

            loop.run = careful
        return made


def _composer(units: int) -> Composer:
    # A shape that no other test has, since what is compiled is shared.
    settings = GruSettings(embedding=8, units=units)
    composer = Composer(Checkpoint("gru", "performance", settings.model_dump(mode="json"), initial_weights(settings)))
    composer._programs._most_blocks = 2  # On a machine of many cores the narrow blocks would be enough.
    return composer


def _compose(composer: Composer, log: Callable[[str], None] = lambda _: None) -> dict[int, Notes]:
    takes: dict[int, Notes] = {}

    def keep(index: int, notes: Notes) -> None:
        assert index not in takes
        takes[index] = notes

    composer.compose([(seed, 1.0) for seed in range(40)], TakeSettings(length=10), None, keep, lambda: False, log=log)
    return takes


def test_nothing_is_searched_for_garbage_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    composer, searches = _composer(11), list[int]()
    # Of a process that has loaded TensorFlow a search takes a quarter of a second, ten times as long as a short take.
    monkeypatch.setattr("core.sampling.memory.gc", SimpleNamespace(collect=lambda: searches.append(1)))
    assert len(_compose(composer)) == 40
    assert not searches
    device = _SmallDevice(composer, 4)
    monkeypatch.setattr(composer._programs, "loops", device.loops)
    assert len(_compose(composer)) == 40
    assert len(searches) == 1


def test_goes_on_in_narrower_blocks_and_begins_the_next_work_in_wide_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    composer = _composer(11)
    expected = _compose(composer)
    device = _SmallDevice(composer, 2)
    monkeypatch.setattr(composer._programs, "loops", device.loops)
    lines: list[str] = []
    takes = _compose(composer, lines.append)
    assert sorted(takes) == list(range(40))
    assert all(len(notes) == 10 for notes in takes.values())
    assert device.widths[0] == 8
    assert device.widths[-1] <= 2
    # Both narrowings are told, with how many takes lie side by side on the two cores.
    assert [line.partition("at most ")[2].partition(".")[0] for line in lines] == [
        "8 takes side by side",
        "4 takes side by side",
    ]
    assert all(re.search("memory is full.*takes longer.*may differ in bits", line) for line in lines)
    # What filled the memory is gone: the same seeds give what they always gave, in blocks as wide as ever.
    device.most_rows = 8
    device.widths.clear()
    lines.clear()
    again = _compose(composer, lines.append)
    assert not lines
    assert device.widths == [8]
    for index, notes in expected.items():
        np.testing.assert_array_equal(again[index].onset_seconds, notes.onset_seconds)
        np.testing.assert_array_equal(again[index].pitch, notes.pitch)


def test_says_so_when_nothing_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    composer = _composer(13)
    device = _SmallDevice(composer, 0)
    monkeypatch.setattr(composer._programs, "loops", device.loops)
    with pytest.raises(DeviceError, match=r"does not hold one take .*end them or wait.* smaller model"):
        composer.compose([(0, 1.0)], TakeSettings(length=400), None, lambda *_: None, lambda: False)
    # Not even its weights.
    checkpoint, prepare = composer.checkpoint, composer._programs.prepare

    def refuse(weights: Any) -> Any:
        prepare(weights)
        raise _full()

    monkeypatch.setattr(composer._programs, "prepare", refuse)
    with pytest.raises(DeviceError, match=r"no room for this model of [0-9,]+ weights.*end them or wait"):
        Composer(checkpoint)


def test_another_failure_of_the_device_passes_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    composer = _composer(13)
    error = tf.errors.InternalError(None, None, "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered")
    device = _SmallDevice(composer, 0, error)
    monkeypatch.setattr(composer._programs, "loops", device.loops)
    with pytest.raises(tf.errors.InternalError) as raised:
        composer.compose([(0, 1.0)], TakeSettings(length=400), None, lambda *_: None, lambda: False)
    assert raised.value is error
    assert len(device.widths) == 1
