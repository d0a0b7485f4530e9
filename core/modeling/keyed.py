"""What the families share that read whole windows at once and draw their dropout on the device."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.modeling.backend import Tree
from core.modeling.shapes import parameter_count
from core.training.settings import EventSettings

Settings = TypeVar("Settings", bound=EventSettings)


class KeyedNetwork(Generic[Settings]):
    """Settings, number format, and a random key in place of dropout masks.

    Attributes:
        settings: of the family.
        parameters: how many numbers training adjusts.
        compute_dtype: number format of the products over windows; steps are always computed in float32.
    """

    def __init__(self, settings: Settings, compute_dtype: str = "float32") -> None:
        self.settings = settings
        self.parameters = parameter_count(settings)
        self.compute_dtype = compute_dtype

    def dropout_masks(self, generator: np.random.Generator, batch: int) -> NDArray[np.int32] | None:
        """int32 `[2]`, a key from which the device draws each dropout's mask."""
        if self.settings.dropout == 0:
            return None
        return generator.integers(2**31 - 2**10, size=2).astype(np.int32)

    def split_masks(self, masks: NDArray[Any], count: int) -> list[NDArray[Any]]:
        """A key of its own for each of `count` equal parts of the batch."""
        return [masks + np.array([part, 0], np.int32) for part in range(count)]

    def prepare(self, weights: Tree) -> Tree:
        """The weights as they are."""
        return weights
