"""The families' own settings: the size of each network, its presets, and when to choose it."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import model_validator

from core.fields import setting
from core.training.event_settings import (
    EventSettings,
    batch_setting,
    learning_rate_setting,
    warmup_setting,
    window_setting,
)


class RecurrentSettings(EventSettings):
    """What the recurrent families share."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "Starter": {"embedding": 64, "units": 256, "layers": 1, "steps": 2_000, "minutes": 2},
        "Standard": {
            "embedding": 128, "units": 512, "layers": 1, "steps": 4_000, "dropout": 0.1, "window": 256,
            "batch_size": 32, "warmup_steps": 200, "minutes": 60,
        },
        "Large": {
            "embedding": 256, "units": 1024, "layers": 2, "steps": 40_000, "dropout": 0.2, "window": 512,
            "batch_size": 64, "learning_rate": 0.001, "warmup_steps": 1_000, "minutes": 60,
        },
    }  # fmt: skip

    embedding: int = setting(64, "Embedding", "Numbers that stand for one event.", ge=8, le=2048)
    units: int = setting(256, "Units", "Width of each layer.", ge=8, le=4096)
    layers: int = setting(1, "Layers", "Recurrent layers on top of each other.", ge=1, le=8)


class LstmSettings(RecurrentSettings):
    """A stack of LSTM layers over the performance events."""

    family = "lstm"
    summary = (
        "Reads and writes every key press, release, pause and loudness as an event, with an LSTM's memory of what came "
        "before. Choose it first for an hour or more on a CPU: it is fast, and what it reaches on MAESTRO was measured."
    )


class GruSettings(RecurrentSettings):
    """A stack of GRU layers over the performance events."""

    family = "gru"
    summary = (
        "A lighter recurrent network than the LSTM: three gates for four, one memory for two. Choose it when there are "
        "only minutes: after two of them on a slow CPU it had learned more of Bach's chorales than any other family."
    )


class Conv1dSettings(EventSettings):
    """Causal convolutions on top of each other."""

    family = "conv1d"
    summary = (
        "Causal convolutions on top of each other: each event is predicted from a fixed, short stretch before it. "
        "Choose it for short figures and textures, or as the plain yardstick for the others."
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "Starter": {"minutes": 2},
        "Standard": {
            "units": 256, "layers": 6, "kernel": 9, "steps": 8_000, "dropout": 0.1, "window": 512,
            "batch_size": 16, "learning_rate": 0.002, "warmup_steps": 200, "minutes": 60,
        },
        "Large": {
            "units": 512, "layers": 10, "kernel": 13, "steps": 30_000, "dropout": 0.2, "window": 1024,
            "batch_size": 32, "learning_rate": 0.001, "warmup_steps": 1_000, "minutes": 60,
        },
    }  # fmt: skip

    learning_rate: float = learning_rate_setting(0.008)
    window: int = window_setting(128)
    batch_size: int = batch_setting(8)
    units: int = setting(128, "Units", "Width of each layer.", ge=8, le=4096)
    layers: int = setting(4, "Layers", "Convolutions on top of each other.", ge=1, le=64)
    kernel: int = setting(9, "Kernel", "Events that each layer looks at, the latest included.", ge=2, le=64)


class WavenetSettings(EventSettings):
    """Dilated causal convolutions with gated units, residual and skip connections."""

    family = "wavenet"
    summary = (
        "Convolutions whose reach doubles from layer to layer, with gates and short cuts, as in WaveNet. Choose it "
        "when many cores or a GPU should train on long stretches at once and composing must stay cheap."
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "Starter": {"minutes": 2},
        "Standard": {
            "units": 192, "layers": 18, "cycle": 9, "steps": 8_000, "dropout": 0.1, "window": 1024,
            "batch_size": 8, "learning_rate": 0.002, "warmup_steps": 200, "minutes": 60,
        },
        "Large": {
            "units": 512, "layers": 30, "cycle": 10, "steps": 30_000, "dropout": 0.2, "window": 2048,
            "batch_size": 16, "learning_rate": 0.001, "warmup_steps": 1_000, "minutes": 60,
        },
    }  # fmt: skip

    learning_rate: float = learning_rate_setting(0.004)
    window: int = window_setting(256)
    batch_size: int = batch_setting(4)
    units: int = setting(112, "Units", "Channels of each layer.", ge=8, le=4096)
    layers: int = setting(8, "Layers", "Convolutions on top of each other.", ge=1, le=64)
    cycle: int = setting(8, "Cycle", "Layers over which the reach doubles before it begins again at 1.", ge=1, le=12)


class TransformerSettings(EventSettings):
    """A decoder of attention layers with rotary positions and a sliding window."""

    family = "transformer"
    summary = (
        "Attention over the last few hundred events or more, any of which it can look up and repeat. Choose it when a "
        "GPU or patience allows a long training; composing takes longer than with the others, too."
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "Starter": {"steps": 1_000, "window": 256, "batch_size": 4, "average": 0.995, "minutes": 2},
        "Standard": {
            "units": 256, "layers": 6, "heads": 4, "context": 512, "steps": 8_000, "dropout": 0.1, "window": 512,
            "batch_size": 16, "learning_rate": 0.002, "warmup_steps": 300, "weight_decay": 0.05, "average": 0.999,
            "minutes": 60,
        },
        "Large": {
            "units": 512, "layers": 10, "heads": 8, "context": 1024, "steps": 40_000, "dropout": 0.2,
            "window": 2048, "batch_size": 32, "learning_rate": 0.0015, "warmup_steps": 1_000, "weight_decay": 0.1,
            "average": 0.9995, "stretch": 0.1, "transpose_semitones": 6, "evaluate_every": 1_000, "patience": 0,
            "minutes": 60,
        },
    }  # fmt: skip

    learning_rate: float = learning_rate_setting(0.006)
    warmup_steps: int = warmup_setting(100)
    window: int = window_setting(128)
    batch_size: int = batch_setting(8)
    units: int = setting(128, "Units", "Width of each layer.", ge=8, le=4096)
    layers: int = setting(3, "Layers", "Attention layers on top of each other.", ge=1, le=64)
    heads: int = setting(4, "Heads", "Attentions side by side in each layer.", ge=1, le=64)
    context: int = setting(
        256, "Context", "Events that each layer's attention sees, the latest included.", unit="events", ge=8, le=8192
    )
    kernel: int = setting(
        4,
        "Short kernel",
        "Events, the latest included, that each layer blends before it attends or computes; 1 blends none.",
        unit="events",
        advanced=True,
        ge=1,
        le=16,
    )
    qk_norm: bool = setting(
        True,
        "Normalised attention",
        "Queries and keys are brought to one length before they are compared (QK norm). Learns more in the same steps.",
        advanced=True,
    )

    @model_validator(mode="after")
    def _heads_share_the_units(self) -> Self:
        if self.units % (2 * self.heads):
            raise ValueError(
                f"heads: {self.heads} does not fit {self.units} units; units must be a multiple of twice the heads."
            )
        return self
