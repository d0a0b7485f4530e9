"""What a process has compiled, loaded or opened, kept for whoever needs the same next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Kept(Generic[Made]):
    """The few things that were used last, each under all that decides it; for several threads."""

    def __init__(self, most: int) -> None:
        """At most so many are kept."""
        self._most = most
        self._lock = Lock()
        self._made: OrderedDict[Hashable, Made] = OrderedDict()

    def of(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What was made under this key, or what `make` makes now."""
        with self._lock:
            made = self._made.pop(key) if key in self._made else make()
            self._made[key] = made
            while len(self._made) > self._most:
                self._made.popitem(last=False)
        return made
