"""A loaded model that composes takes: the one way from seeds to notes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.modeling.backend import make_deterministic
from core.modeling.checkpoints import Checkpoint
from core.modeling.cores import use_one_thread
from core.modeling.device_memory import model_has_no_room, unless_memory_is_full
from core.music.notes import Notes
from core.sampling.assembling import events_assembler, tutorial_assembler
from core.sampling.blocks import ChunkLoop, CompositionInterrupted
from core.sampling.facts import SAMPLER_VERSION, least_primer_notes
from core.sampling.memory import run_within_memory
from core.sampling.programs import programs_of
from core.sampling.settings import TakeSettings
from core.training.settings import TutorialSettings

__all__ = ["SAMPLER_VERSION", "Composer", "CompositionInterrupted"]

OnTake = Callable[[int, Notes], None]
OnLogits = Callable[[int, NDArray[np.float32]], None]


class Composer:
    """A model ready to compose. Takes are decided by model, seed, temperature, settings and primer alone."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Load the weights onto the device.

        Raises:
            CheckpointError: the checkpoint does not fit this version.
            DeviceError: the device's memory does not hold the weights.
        """
        checkpoint.check()
        make_deterministic()
        use_one_thread()
        self.checkpoint = checkpoint
        self._settings = checkpoint.family_settings
        self._seconds = 0.0
        self._notes = 0
        self._programs = programs_of(self._settings)
        with unless_memory_is_full(model_has_no_room(checkpoint.parameters)):
            self._weights = self._programs.prepare(checkpoint.weights)

    @property
    def notes_per_second(self) -> float:
        """Notes of all takes so far by the time spent on them; 0 before the first."""
        return self._notes / self._seconds if self._seconds else 0.0

    def warm_up(self) -> None:
        """Compile, so that the first take starts at once."""
        primer = None
        if needed := least_primer_notes(self._settings):
            primer = Notes.of(np.arange(needed) / 2.0, np.full(needed, 0.5), np.full(needed, 60), np.full(needed, 80))
        self.compose([(0, 1.0)], TakeSettings(length=1), primer, lambda *_: None, lambda: False)
        self._seconds, self._notes = 0.0, 0

    def compose(
        self,
        requests: Sequence[tuple[int, float]],
        settings: TakeSettings,
        primer: Notes | None,
        on_take: OnTake,
        interrupted: Callable[[], bool],
        *,
        on_logits: OnLogits | None = None,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Compose one take for each (seed, temperature).

        The primer is read first and is not part of the takes, which begin at time 0, unless `join_primer` asks for it.

        Args:
            requests: seed and temperature of each take; `settings.temperature` is not used.
            settings: length, top k, top p and so on; the same for all takes.
            primer: what the takes continue; `tutorial` needs as many notes as its window has.
            on_take: called with a take's index into `requests` and its notes as soon as it is complete.
            interrupted: looked at after every few steps.
            on_logits: for tests and debugging: called before `on_take` with the index and the logits of every step of
                the take as the network gave them, float32 `[steps, events]`; slower.
            log: told in a sentence when the device's memory is full and fewer takes are composed side by side.

        Raises:
            CompositionInterrupted: `interrupted` said so; takes handed over before are complete.
            InputError: the primer is missing or too short (field `primer`).
            DeviceError: the device's memory does not even hold one take at a time.
        """
        needed = least_primer_notes(self._settings)
        if needed and (primer is None or len(primer) < needed):
            found = "none is given" if primer is None else f"it has {len(primer)}"
            raise InputError.of("primer", f"primer: this model continues at least {needed} notes; {found}.")
        if not requests:
            return
        started = time.monotonic()

        def make_loops(takes: int, widest: int) -> Sequence[ChunkLoop]:
            traced = on_logits is not None
            return self._programs.loops(takes, self._weights, settings, primer, widest=widest, traced=traced)

        is_tutorial = isinstance(self._settings, TutorialSettings)
        assemble = (
            tutorial_assembler(primer, settings)
            if is_tutorial and primer is not None
            else events_assembler(primer, settings)
        )

        def finished(index: int, values: NDArray[np.generic], logits: NDArray[np.float32] | None) -> None:
            notes = assemble(values)
            self._notes += len(notes)
            self._seconds = before + time.monotonic() - started
            if on_logits is not None and logits is not None:
                on_logits(index, logits)
            on_take(index, notes)

        before = self._seconds
        run_within_memory(make_loops, self._programs.rows, requests, finished, interrupted, log)
