"""From a family's settings to its network."""

from __future__ import annotations

from core.modeling.conv1d import Conv1dNetwork
from core.modeling.following import FollowingNetwork
from core.modeling.gru import GruNetwork
from core.modeling.interface import FamilyNetwork, Network
from core.modeling.lstm import LstmNetwork
from core.modeling.sounding_network import SoundingNetwork
from core.modeling.transformer import TransformerNetwork
from core.modeling.wavenet import WavenetNetwork
from core.training.settings import (
    Conv1dSettings,
    EventSettings,
    FamilySettings,
    GruSettings,
    LstmSettings,
    TransformerSettings,
    WavenetSettings,
)

__all__ = ["Network", "build_following", "build_network"]


def build_network(settings: FamilySettings, compute_dtype: str = "float32") -> Network:
    """The network of a family's settings.

    Args:
        settings: of a family over events.
        compute_dtype: number format of the products in training, "float32" or "bfloat16"; steps use float32.

    Raises:
        TypeError: the family has no network over events (`tutorial` has its own module).
    """
    if isinstance(settings, EventSettings) and settings.sounding:
        return _sounding_network(settings, compute_dtype)
    return _family_network(settings, compute_dtype)


def build_following(settings: FamilySettings) -> FollowingNetwork:
    """The same in float32, its state always with the facts of the stream, which the sampler looks at.

    Raises:
        TypeError: as above.
    """
    if isinstance(settings, EventSettings) and settings.sounding:
        return _sounding_network(settings)
    return FollowingNetwork(_family_network(settings))


def _sounding_network(settings: EventSettings, compute_dtype: str = "float32") -> SoundingNetwork:
    return SoundingNetwork(_family_network(settings, compute_dtype))


def _family_network(settings: FamilySettings, compute_dtype: str = "float32") -> FamilyNetwork:
    network: FamilyNetwork
    match settings:
        case LstmSettings():
            network = LstmNetwork(settings, compute_dtype)
        case GruSettings():
            network = GruNetwork(settings, compute_dtype)
        case Conv1dSettings():
            network = Conv1dNetwork(settings, compute_dtype)
        case WavenetSettings():
            network = WavenetNetwork(settings, compute_dtype)
        case TransformerSettings():
            network = TransformerNetwork(settings, compute_dtype)
        case _:
            raise TypeError(f"the family {settings.family!r} has no network over events")
    return network
