"""Composing on a device whose memory is too small: in narrower blocks, every take once."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import DeviceError
from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.music.notes import Notes
from core.sampling.composer import Composer
from core.sampling.settings import TakeSettings
from core.training.settings import GruSettings

pytestmark = pytest.mark.slow


class _SmallDevice:
    """Wraps a composer's loops: those with too many rows fail at their second run, as the library itself fails."""

    def __init__(self, composer: Composer, most_rows: int) -> None:
        self._make = composer._programs.loops
        self._most_rows = most_rows
        self.widths: list[int] = []

    def loops(self, *arguments: Any, **more: Any) -> list[Any]:
        import tensorflow as tf

        made = self._make(*arguments, **more)
        self.widths.append(made[0].rows)
        for loop in made:
            run, runs = loop.run, []

            def careful(*given: Any, loop: Any = loop, run: Any = run, runs: list[int] = runs) -> Any:
                runs.append(1)
                if loop.rows > self._most_rows and len(runs) > 1:
                    raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
                return run(*given)

            loop.run = careful
        return made


def _composer(units: int) -> Composer:
    # A shape that no other test has, since what is compiled is shared.
    settings = GruSettings(embedding=8, units=units)
    composer = Composer(Checkpoint("gru", "performance", settings.model_dump(mode="json"), initial_weights(settings)))
    composer._programs._most_blocks = 2  # On a machine of many cores the narrow blocks would be enough.
    return composer


def test_goes_on_in_narrower_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    composer = _composer(11)
    device = _SmallDevice(composer, 2)
    monkeypatch.setattr(composer._programs, "loops", device.loops)
    takes: dict[int, Notes] = {}

    def keep(index: int, notes: Notes) -> None:
        assert index not in takes
        takes[index] = notes

    composer.compose([(seed, 1.0) for seed in range(40)], TakeSettings(length=10), None, keep, lambda: False)
    assert sorted(takes) == list(range(40))
    assert all(len(notes) == 10 for notes in takes.values())
    assert device.widths[0] == 8
    assert device.widths[-1] <= 2


def test_says_so_when_nothing_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    composer = _composer(13)
    device = _SmallDevice(composer, 0)
    monkeypatch.setattr(composer._programs, "loops", device.loops)
    with pytest.raises(DeviceError, match=r"does not hold one take .* smaller model"):
        composer.compose([(0, 1.0)], TakeSettings(length=400), None, lambda *_: None, lambda: False)
