"""Loading much code at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Load code without looking for garbage meanwhile, and never look through what was loaded.

    A module's objects live as long as the process. Python would search them again and again while more come, which is
    a fifth of the time that TensorFlow takes to load, and pause for them later. Processes that are forked
    afterwards share them, since a search would write to each.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
