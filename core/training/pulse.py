"""The regular look up from training: stop when asked to, write a resume point when one is due, measure time."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.training.hooks import TrainingHooks, TrainingInterrupted


class Pulse:
    """Called between steps by every loop, the held-out evaluation included."""

    def __init__(self, hooks: TrainingHooks, resume_seconds: float, write: Callable[[], tuple[bytes, int]]) -> None:
        """`write` gives a resume point of the present moment and its step."""
        self._hooks = hooks
        self._resume_seconds = resume_seconds
        self._write = write
        self._written_at = time.monotonic()

    def check(self) -> None:
        """Write a resume point if one is due.

        Raises:
            TrainingInterrupted: the hooks asked to stop; a resume point has been written.
        """
        if self._hooks.interrupted():
            self._save()
            raise TrainingInterrupted("The training was interrupted; it goes on from its resume point.")
        if time.monotonic() - self._written_at >= self._resume_seconds:
            self._save()

    def _save(self) -> None:
        data, step = self._write()
        self._hooks.save_resume(data, step)
        self._written_at = time.monotonic()


class Stopwatch:
    """Seconds that a training has run: in this process since this began, and before it as its resume point tells."""

    def __init__(self) -> None:
        self._before: float | None = 0.0
        self._began = time.monotonic()

    def add(self, before: float | None) -> None:
        """Count what earlier processes ran; None where that is not known, and then neither is the sum."""
        self._before = before

    @property
    def seconds(self) -> float | None:
        """Until now."""
        return None if self._before is None else self._before + time.monotonic() - self._began


class Speed:
    """Steps, notes and events per second since the first step of this process, whose compilation does not count."""

    def __init__(self) -> None:
        self._made = time.monotonic()
        self._started = 0.0
        self._steps = self._notes = self._events = 0
        self._now = 0.0

    def add(self, steps: int, notes: int, events: int) -> None:
        """Count what has just been done."""
        self._now = time.monotonic()
        if self._started == 0.0:
            self._started = self._now
            return
        self._steps += steps
        self._notes += notes
        self._events += events

    @property
    def notes_per_second(self) -> float:
        """0 until two steps are done."""
        return self._rate(self._notes)

    @property
    def events_per_second(self) -> float:
        """0 until two steps are done."""
        return self._rate(self._events)

    @property
    def first_seconds(self) -> float:
        """Until the first step was done: compiling, above all; 0 until then."""
        return self._started - self._made if self._started else 0.0

    @property
    def measured_seconds(self) -> float:
        """Since the first step."""
        return self._now - self._started

    def seconds_left(self, steps: int) -> float:
        """Time for `steps` more at the speed so far; 0 until it is known."""
        rate = self._rate(self._steps)
        return steps / rate if rate else 0.0

    def _rate(self, count: int) -> float:
        elapsed = self._now - self._started
        return count / elapsed if elapsed > 0 and self._steps else 0.0
