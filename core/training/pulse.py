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
            self.save()
            raise TrainingInterrupted("The training was interrupted; it goes on from its resume point.")
        if time.monotonic() - self._written_at >= self._resume_seconds:
            self.save()

    def save(self) -> None:
        """Write a resume point now."""
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


class StepTime:
    """Mean seconds of a step in this process, without those that compile and what lies between steps.

    Attributes:
        first_seconds: from this one's making until the first step was done.
        steps: that the mean is of.
    """

    def __init__(self) -> None:
        self._made = time.monotonic()
        self._last: float | None = None
        self._seconds = 0.0
        self.first_seconds = 0.0
        self.steps = 0

    def add(self) -> None:
        """Count a step that has just been done."""
        now = time.monotonic()
        if self._last is not None:
            self._seconds += now - self._last
            self.steps += 1
        elif not self.first_seconds:
            self.first_seconds = now - self._made
        self._last = now

    def rest(self) -> None:
        """Something else has been done since the last step."""
        self._last = None

    @property
    def mean_seconds(self) -> float:
        """0 until two steps are done one after the other."""
        return self._seconds / self.steps if self.steps else 0.0


class Speed:
    """Steps, notes and events per second since the first step of this process, whose compilation does not count."""

    def __init__(self) -> None:
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

    def seconds_left(self, steps: int) -> float:
        """Time for `steps` more at the speed so far; 0 until it is known."""
        rate = self._rate(self._steps)
        return steps / rate if rate else 0.0

    def _rate(self, count: int) -> float:
        elapsed = self._now - self._started
        return count / elapsed if elapsed > 0 and self._steps else 0.0
