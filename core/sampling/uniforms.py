"""Each seed's own random numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# 23 bits: a float32 product of such a number with a sum never rounds up to the sum itself.
_DRAWS = np.float32(2**23)


class Uniforms:
    """One seed's uniform numbers, one for each draw; the k-th depends on the seed and k alone."""

    def __init__(self, seed: int) -> None:
        self._words = np.random.Philox(key=seed)
        self._drawn = np.empty(0, np.float32)

    def ahead(self, count: int) -> NDArray[np.float32]:
        """The next `count` numbers, float32 of at least 0 and below 1; they stay the next ones."""
        if (missing := count - self._drawn.size) > 0:
            # Raw words, not a generator's integers: the stream is the bit generator's own and stays the same for ever.
            words = self._words.random_raw(missing)
            self._drawn = np.concatenate((self._drawn, (words >> np.uint64(41)).astype(np.float32) / _DRAWS))
        return self._drawn[:count]

    def skip(self, count: int) -> None:
        """Leave `count` numbers behind."""
        self.ahead(count)
        self._drawn = self._drawn[count:]

    def take(self, count: int) -> NDArray[np.float32]:
        """The next `count` numbers, which then lie behind."""
        numbers = self.ahead(count)
        self.skip(count)
        return numbers
