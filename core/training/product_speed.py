"""How long a step will take on a device that nothing has been trained on, by how fast it multiplies. Light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.modeling.shapes import weight_shapes
from core.training.estimate import START_SECONDS
from core.training.flops import muon_flops, training_flops
from core.training.settings import EventSettings, FamilySettings, RecurrentSettings, TutorialSettings

# What everything beside the products leaves of their speed. On two cores without AVX-512 the Starter presets and the
# recurrent Standard took 0.8 to 1.3 times as long as these tell, a network of 64 units twice as long.
_RECURRENT_SHARE = 0.55
_WHOLE_WINDOWS_SHARE = 0.4
_TUTORIAL_SHARE = 0.18
# Of Muon's products, which are large and stand side by side.
_MUON_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class ProductSpeed:
    """How fast a device multiplies float32 matrices, in 10^9 operations per second.

    Attributes:
        large: large ones (2 cores: 100 to 200).
        recurrent: the product that `recurrent_product` names, as `large` where there is none. Its weights come from
            memory each time for few rows: 2 cores of one machine did it as fast as large ones, of another half as fast.
    """

    large: float
    recurrent: float


def recurrent_product(settings: FamilySettings) -> tuple[int, int, int] | None:
    """Rows, inner width and columns of the product that a recurrence repeats at each event; None without one."""
    if not isinstance(settings, RecurrentSettings):
        return None
    units, columns = weight_shapes(settings)[f"{settings.family}_0.recurrent"]
    return settings.batch_size, units, columns


def predicted_step_seconds(settings: EventSettings, speed: ProductSpeed) -> float:
    """Of one step of a family over events."""
    muon = muon_flops(settings)
    products = training_flops(settings, {}) / settings.steps - muon
    if isinstance(settings, RecurrentSettings):
        gflops = _RECURRENT_SHARE * speed.recurrent
    else:
        gflops = _WHOLE_WINDOWS_SHARE * speed.large
    return (products / gflops + muon / (_MUON_SHARE * speed.large)) / 1e9


def predicted_tutorial_seconds(settings: TutorialSettings, stats: Mapping[str, float], speed: ProductSpeed) -> float:
    """Of a whole training of the article's network; `stats` as `training_flops` reads them."""
    return START_SECONDS + training_flops(settings, stats) / (_TUTORIAL_SHARE * speed.large * 1e9)
