"""Names and shapes of every family's weights. Light: what a checkpoint must hold is known without Keras."""

from __future__ import annotations

from math import prod

from core.encoding.performance import SIZE
from core.music.notes import PITCH_COUNT
from core.training.settings import FamilySettings, LstmSettings, TutorialSettings

TUTORIAL_UNITS = 128

# Only these decide what the network is; all other settings say how it was trained.
_ARCHITECTURE: dict[str, tuple[str, ...]] = {
    "lstm": ("embedding", "units", "layers"),
    "tutorial": ("window",),
}


def architecture(settings: FamilySettings) -> dict[str, int]:
    """The settings that decide the network itself, such as its width; the rest only say how it was trained."""
    return {name: int(getattr(settings, name)) for name in _ARCHITECTURE[settings.family]}


def weight_shapes(settings: FamilySettings) -> dict[str, tuple[int, ...]]:
    """Name to shape of each weight array, in a fixed order.

    Gates lie side by side in the order input, forget, candidate, output, as in Keras.
    """
    if isinstance(settings, LstmSettings):
        shapes: dict[str, tuple[int, ...]] = {"embedding": (SIZE, settings.embedding)}
        for layer in range(settings.layers):
            width = settings.embedding if layer == 0 else settings.units
            shapes[f"lstm_{layer}.kernel"] = (width, 4 * settings.units)
            shapes[f"lstm_{layer}.recurrent"] = (settings.units, 4 * settings.units)
            shapes[f"lstm_{layer}.bias"] = (4 * settings.units,)
        return {**shapes, "output.kernel": (settings.units, SIZE), "output.bias": (SIZE,)}
    if isinstance(settings, TutorialSettings):
        heads = {"pitch": PITCH_COUNT, "step": 1, "duration": 1}
        shapes = {
            "lstm_0.kernel": (3, 4 * TUTORIAL_UNITS),
            "lstm_0.recurrent": (TUTORIAL_UNITS, 4 * TUTORIAL_UNITS),
            "lstm_0.bias": (4 * TUTORIAL_UNITS,),
        }
        for head, width in heads.items():
            shapes[f"{head}.kernel"] = (TUTORIAL_UNITS, width)
            shapes[f"{head}.bias"] = (width,)
        return shapes
    raise TypeError(f"no network is known for the family {settings.family!r}")


def parameter_count(settings: FamilySettings) -> int:
    """How many numbers training adjusts."""
    return sum(prod(shape) for shape in weight_shapes(settings).values())
