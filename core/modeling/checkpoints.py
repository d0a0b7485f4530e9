"""A trained model as it is stored, uploaded, downloaded and named. Light: numpy only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import CheckpointError, InputError
from core.modeling.archive import pack, unpack
from core.modeling.shapes import architecture, parameter_count, weight_shapes
from core.training.settings import FAMILIES, FamilySettings, parse_stored_settings

FORMAT = 1
# Beyond this an integer is no float any more; a figure that is no number is refused as well.
_LARGEST_FIGURE = 1e300


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Architecture, weights, encoding and the settings that made them.

    Attributes:
        family: a key of `FAMILIES`.
        encoding: "performance" or "tutorial".
        settings: every training setting by name, as `FamilySettings.model_dump()` gives them.
        weights: name to float32 array, as `weight_shapes` lists them.
        figures: measured values, such as "held_out_nats_per_event"; free of consequence.
    """

    family: str
    encoding: str
    settings: dict[str, Any]
    weights: dict[str, NDArray[np.float32]]
    figures: dict[str, float] = field(default_factory=dict)

    @cached_property
    def family_settings(self) -> FamilySettings:
        """The settings as their own class.

        Raises:
            CheckpointError: unknown family, or settings that this version refuses.
        """
        if self.family not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise CheckpointError(f"This checkpoint is of the family {str(self.family)[:40]!r}; known are {known}.")
        try:
            return parse_stored_settings(self.family, self.settings)
        except InputError as error:
            raise CheckpointError(f"This checkpoint's settings do not fit this version: {error}") from None

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of what decides the music: family, encoding, architecture and weights, not the figures."""
        decisive = {
            "family": self.family,
            "encoding": self.encoding,
            "architecture": architecture(self.family_settings),
            "weights": {name: list(array.shape) for name, array in self.weights.items()},
        }
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True, separators=(",", ":")).encode())
        for name in sorted(self.weights):
            digest.update(np.ascontiguousarray(self.weights[name], "<f4").tobytes())
        return digest.hexdigest()

    @property
    def parameters(self) -> int:
        """How many numbers the network has."""
        return parameter_count(self.family_settings)

    def to_bytes(self) -> bytes:
        """The stored form: a zip of `model.json` and one npy file per weight; equal checkpoints give equal bytes."""
        document = {
            "format": FORMAT,
            "family": self.family,
            "encoding": self.encoding,
            "settings": self.settings,
            "figures": self.figures,
        }
        weights = {f"weights/{name}": array.astype("<f4", copy=False) for name, array in self.weights.items()}
        return pack(document, weights)

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """Read back what `to_bytes` wrote.

        Raises:
            CheckpointError: damaged, of another format, an unknown family, or with weights that do not fit.
        """
        try:
            document, arrays = unpack(data)
        except ValueError as error:
            raise CheckpointError(
                f"This file is no checkpoint, or is damaged ({error}); a whole copy of it is needed."
            ) from None
        if document.get("format") != FORMAT:
            found = str(document.get("format"))[:20]
            raise CheckpointError(
                f"This checkpoint is of format {found}; this version reads format {FORMAT}. Use the version of Cadenza "
                "that wrote it, or train it again."
            )
        family, encoding, settings = (document.get(name) for name in ("family", "encoding", "settings"))
        figures = document.get("figures", {})
        if not isinstance(settings, dict) or not isinstance(figures, dict):
            raise CheckpointError("This checkpoint is damaged (its settings or figures are no objects).")
        if not all(isinstance(value, int | float) and abs(value) < _LARGEST_FIGURE for value in figures.values()):
            raise CheckpointError("This checkpoint is damaged (a figure is no number).")
        weights = {name.removeprefix("weights/"): array for name, array in arrays.items()}
        checkpoint = cls(str(family), str(encoding), settings, weights, {k: float(v) for k, v in figures.items()})
        checkpoint.check()
        return checkpoint

    def check(self) -> None:
        """Hold encoding and weights against what the family and its settings ask for.

        Raises:
            CheckpointError: something does not fit; quotes what is there and what is needed.
        """
        settings = self.family_settings
        if self.encoding != settings.encoding:
            raise CheckpointError(
                f"This checkpoint's encoding is {self.encoding[:40]!r}; the family {self.family} uses "
                f"{settings.encoding!r}."
            )
        shapes = weight_shapes(settings)
        if sorted(shapes) != sorted(self.weights):
            differing = ", ".join(sorted(set(shapes) ^ set(self.weights))[:5])
            raise CheckpointError(
                f"This checkpoint's weights are not those of its network; they differ in {differing}."
            )
        for name, shape in shapes.items():
            array = self.weights[name]
            if array.shape != shape or array.dtype != np.float32:
                raise CheckpointError(
                    f"This checkpoint's weight {name} is {array.dtype} of shape {array.shape}; "
                    f"needed is float32 of {shape}."
                )
            if not np.isfinite(array).all():
                raise CheckpointError(
                    f"This checkpoint's weight {name} holds values that are no numbers; it cannot be used."
                )
