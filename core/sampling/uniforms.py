"""Each seed's own random numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# 23 bits: a float32 product of such a number with a sum never rounds up to the sum itself.
_DRAWS = 2**23


class Uniforms:
    """One seed's uniform numbers, one for each draw; the k-th depends on the seed and k alone."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.Generator(np.random.Philox(key=seed))

    def take(self, count: int) -> NDArray[np.float32]:
        """The next `count` numbers, float32, at least 0 and below 1."""
        # Raw words, not `Generator.integers`: its stream is the bit generator's own and stays the same for ever.
        words = self._generator.bit_generator.random_raw(count)
        return ((words >> np.uint64(41)).astype(np.float32) / np.float32(_DRAWS)).astype(np.float32)
