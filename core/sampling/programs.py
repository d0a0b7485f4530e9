"""Compiled programs of one architecture: which widths of block there are, and which of them give the same bits."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.kept import Kept
from core.modeling.backend import Tensor
from core.modeling.cores import available_cores
from core.modeling.devices import device_kind
from core.modeling.network import build_following
from core.modeling.shapes import architecture_key
from core.music.notes import Notes
from core.sampling.blocks import ChunkInput, ChunkLoop
from core.sampling.events_loop import EventsProgram, EventsWeights
from core.sampling.settings import TakeSettings
from core.sampling.tutorial_loop import TutorialProgram, prepare_tutorial
from core.training.settings import FamilySettings, TutorialSettings

# The last width decides the bits; a narrower one serves few takes where it gives the same. On a CPU more than 8 rows
# are no faster for each of them: a step of LSTM(512) with 2, 8 and 64 rows takes 87, 211 and 1,890 µs on one core. A
# row of `tutorial` is as many rows of its products as its window has notes.
_EVENT_ROWS = {"cpu": (2, 8), "gpu": (256,)}
_TUTORIAL_ROWS = {"cpu": (1, 2), "gpu": (64,)}
# Long enough to hide what a call costs, short enough that an interruption is soon seen and that few rows finish both
# the take at hand and the one behind it.
_EVENT_STEPS, _TUTORIAL_STEPS = 128, 500
_MOST_KEPT = 6


class _Program(Protocol):
    def loops(
        self, count: int, weights: list[Tensor], settings: TakeSettings, primer: Notes | None, *, traced: bool
    ) -> list[ChunkLoop]: ...


class Programs:
    """What is compiled for an architecture; weights are arguments, so that all its models share it."""

    def __init__(self, settings: FamilySettings) -> None:
        """Nothing is compiled before it is needed."""
        self._settings = settings
        self._network = None if isinstance(settings, TutorialSettings) else build_following(settings)
        self._events = EventsWeights(self._network) if self._network else None
        device = device_kind()
        self._widths = (_TUTORIAL_ROWS if isinstance(settings, TutorialSettings) else _EVENT_ROWS)[device]
        # On a GPU one block fills the device.
        self._most_blocks = available_cores() if device == "cpu" else 1
        self._programs: dict[int, _Program] = {}
        self._agreeing: dict[tuple[int, int, bool, bool], bool] = {}

    def prepare(self, weights: dict[str, NDArray[np.float32]]) -> list[Tensor]:
        """A model's weights on the device, as `loops` wants them."""
        return self._events.prepare(weights) if self._events else prepare_tutorial(weights)

    @property
    def rows(self) -> int:
        """Rows of a block that decide the bits of this kind of device."""
        return self._widths[-1]

    def loops(
        self,
        takes: int,
        weights: list[Tensor],
        settings: TakeSettings,
        primer: Notes | None,
        *,
        widest: int | None = None,
        traced: bool = False,
    ) -> list[ChunkLoop]:
        """Loops for so many takes, to be run side by side: one for each core of a CPU, narrow ones for few takes.

        Args:
            takes: how many will be composed, at least 1.
            weights: as `prepare` gives them.
            settings: the same for all takes.
            primer: what all takes continue, long enough for the family.
            widest: most rows of a block, where the memory is too small for `rows`; its bits may be others then: such a
                device counts as one of another kind.
            traced: whether logits are wanted.
        """
        rows = widest = widest or self.rows
        for narrow in self._widths[:-1]:
            if (
                narrow < widest
                and takes <= narrow * self._most_blocks
                and self._agrees(narrow, widest, weights, settings, primer)
            ):
                rows = narrow
                break
        blocks = min(self._most_blocks, -(-takes // rows))
        return self._program(rows).loops(blocks, weights, settings, primer, traced=traced)

    def _program(self, rows: int) -> _Program:
        if rows not in self._programs:
            settings = self._settings
            if isinstance(settings, TutorialSettings):
                self._programs[rows] = TutorialProgram(settings.window, rows, _TUTORIAL_STEPS)
            else:
                assert self._network is not None
                assert self._events is not None
                self._programs[rows] = EventsProgram(self._network, self._events, rows, _EVENT_STEPS)
        return self._programs[rows]

    def _agrees(
        self, narrow: int, wide: int, weights: list[Tensor], settings: TakeSettings, primer: Notes | None
    ) -> bool:
        """Whether blocks of `narrow` rows give the bits of the wide ones; found out by running a chunk of both.

        Products of different heights may add in another order, so this holds on some processors and not on others
        (here: from 2 to 50 rows, on one thread). In which order does not depend on the values, so that one chunk shows.
        """
        key = narrow, wide, settings.truncates, settings.shapes
        if key not in self._agreeing:
            results = []
            for rows in (narrow, wide):
                (loop,) = self._program(rows).loops(1, weights, settings, primer, traced=False)
                uniforms = np.random.default_rng(0).random((2, loop.steps, narrow), np.float32)
                repeated = np.tile(uniforms, (1, 1, -(-wide // narrow)))[:, :, :rows]
                output = loop.run(ChunkInput(np.ones(rows, bool), np.ones((2, rows), np.float32), repeated))
                kept = [output.values.swapaxes(0, 1), *loop.state()]
                results.append(b"".join(np.ascontiguousarray(values[:narrow]).tobytes() for values in kept))
            self._agreeing[key] = results[0] == results[1]
        return self._agreeing[key]


_kept = Kept[Programs](_MOST_KEPT)


def programs_of(settings: FamilySettings) -> Programs:
    """The programs of a model's architecture; those used last are kept, since compiling takes a second or two."""
    return _kept.of(architecture_key(settings), lambda: Programs(settings))
