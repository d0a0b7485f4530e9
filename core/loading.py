"""Loading much code at once."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# What TensorFlow and Keras load wherever it is installed, for pictures and conversions that nobody here asks for.
_UNWANTED = ("matplotlib", "jax")


@contextmanager
def loading() -> Iterator[None]:
    """Load no more code than is needed, and without looking for garbage then or ever in what was loaded.

    A module's objects live as long as the process. Python would search them again and again while more come, which is
    a fifth of the time that TensorFlow takes to load, and pause for them later. Processes that are forked
    afterwards share them, since a search would write to each.

    Until it ends, matplotlib cannot be imported if it was not before, nor JAX unless it is the backend of Keras:
    libraries that try to load them find that they are not there.
    """
    enabled = gc.isenabled()
    hidden = [name for name in _UNWANTED if name not in sys.modules and os.environ.get("KERAS_BACKEND") != name]
    gc.disable()
    for name in hidden:
        # Importing what is None here fails as if it were not installed; its type knows modules only.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        if enabled:
            gc.enable()
