"""Waiting that can be ended, and turns that end with their process."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_TICK_SECONDS = 0.1


@contextmanager
def alone(path: Path, check: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file at `path`, which a dead process lets go of; `check` is called while waiting."""
    with path.open("w") as stream:
        while True:
            check()
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                wait(5 * _TICK_SECONDS, check)
        yield


def wait(seconds: float, check: Callable[[], None]) -> None:
    """Wait, calling `check` ten times a second; what it raises ends the wait."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        check()
        time.sleep(min(left, _TICK_SECONDS))
