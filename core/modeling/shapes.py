"""Names and shapes of every family's weights. Light: what a checkpoint must hold is known without Keras."""

from __future__ import annotations

from math import prod

from core.encoding.performance import SIZE
from core.encoding.sounding import AGE_COUNT
from core.music.notes import PITCH_COUNT
from core.training.settings import (
    Conv1dSettings,
    EventSettings,
    FamilySettings,
    GruSettings,
    LstmSettings,
    RecurrentSettings,
    TransformerSettings,
    TutorialSettings,
    WavenetSettings,
)

TUTORIAL_UNITS = 128
WAVENET_KERNEL = 2
SOUNDING_UNITS = 32
"""Numbers into which what sounds is put together before a network reads it."""

Shapes = dict[str, tuple[int, ...]]

# Gates of a recurrence or convolution, queries, keys and values, a gate and its value, two paths.
_SIDE_BY_SIDE = {"lstm": 4, "gru": 3, "gates": 2, "paths": 2, "attention": 3, "forward": 2}

# Only these decide what the network is; all other settings say how it was trained.
_ARCHITECTURE: dict[str, tuple[str, ...]] = {
    "lstm": ("embedding", "units", "layers"),
    "gru": ("embedding", "units", "layers"),
    "conv1d": ("units", "layers", "kernel"),
    "wavenet": ("units", "layers", "cycle"),
    "transformer": ("units", "layers", "heads", "context"),
    "tutorial": ("window",),
}


def architecture(settings: FamilySettings) -> dict[str, int]:
    """The settings that decide the network itself, such as its width; the rest only say how it was trained."""
    own = {name: int(getattr(settings, name)) for name in _ARCHITECTURE[settings.family]}
    # Left out where they are off, as in models that were made before there was such a thing: their hashes stay.
    if isinstance(settings, EventSettings) and settings.sounding:
        own["sounding"] = 1
    if isinstance(settings, TransformerSettings) and settings.qk_norm:
        own["qk_norm"] = 1
    if isinstance(settings, TransformerSettings) and settings.kernel > 1:
        own["kernel"] = settings.kernel
    return own


def architecture_key(settings: FamilySettings) -> tuple[str | tuple[str, int], ...]:
    """The same, with the family: equal for settings of the same network, and fit to be a dict's key."""
    return settings.family, *sorted(architecture(settings).items())


def weight_shapes(settings: FamilySettings) -> Shapes:
    """Name to shape of each weight array, in a fixed order.

    Gates lie side by side in Keras's order: input, forget, candidate, output in an LSTM; update, reset, candidate in a
    GRU. A convolution's kernel is `[taps, inputs, outputs]`, its last tap the present event.
    """
    if isinstance(settings, TutorialSettings):
        return _tutorial_shapes()
    if isinstance(settings, LstmSettings | GruSettings):
        return _recurrent_shapes(settings)
    if isinstance(settings, Conv1dSettings):
        blocks = _conv1d_shapes(settings)
    elif isinstance(settings, WavenetSettings):
        blocks = _wavenet_shapes(settings)
    elif isinstance(settings, TransformerSettings):
        blocks = _transformer_shapes(settings)
    else:
        raise TypeError(f"no network is known for the family {settings.family!r}")
    units, width = settings.units, _output_width(settings)
    ends = {"output.scale": (units,), "output.kernel": (units, width), "output.bias": (width,)}
    return {"embedding": (SIZE, units), **blocks, **_reader_shapes(settings, units), **ends}


def parameter_count(settings: FamilySettings) -> int:
    """How many numbers training adjusts."""
    return sum(prod(shape) for shape in weight_shapes(settings).values())


def hidden_matrices(settings: EventSettings) -> dict[str, int]:
    """Which weights turn one layer's values into another's, and how many matrices lie side by side in each.

    What reads events and what gives their logits is left out, and so are what is read beside the events and what
    blends each value with its own past.
    """
    found = {}
    for name, shape in weight_shapes(settings).items():
        layer, _, kind = name.partition(".")
        if len(shape) > 1 and kind != "blend" and layer not in {"embedding", "output", "sounding", "beside"}:
            found[name] = 1 if kind == "merge" else _SIDE_BY_SIDE.get(layer.partition("_")[0], 1)
    return found


def transformer_hidden(units: int) -> int:
    """Width inside a transformer's gated feed-forward layer: 8/3 of the units, so that its three matrices hold as many
    numbers as two of four times the units (Shazeer 2020), rounded up to a multiple of 64, which GPUs like."""
    return -(-8 * units // 3 // 64) * 64


def _recurrent_shapes(settings: RecurrentSettings) -> Shapes:
    gates = 4 if settings.family == "lstm" else 3
    shapes: Shapes = {"embedding": (SIZE, settings.embedding)}
    for layer in range(settings.layers):
        name = f"{settings.family}_{layer}"
        width = settings.embedding if layer == 0 else settings.units
        shapes[f"{name}.kernel"] = (width, gates * settings.units)
        shapes[f"{name}.recurrent"] = (settings.units, gates * settings.units)
        shapes[f"{name}.bias"] = (gates * settings.units,)
        if settings.family == "gru":
            shapes[f"{name}.recurrent_bias"] = (gates * settings.units,)
    shapes |= _reader_shapes(settings, gates * settings.units)
    width = _output_width(settings)
    return {**shapes, "output.kernel": (settings.units, width), "output.bias": (width,)}


def _conv1d_shapes(settings: Conv1dSettings) -> Shapes:
    units, shapes = settings.units, Shapes()
    for layer in range(settings.layers):
        shapes[f"conv_{layer}.scale"] = (units,)
        shapes[f"conv_{layer}.kernel"] = (settings.kernel, units, units)
        shapes[f"conv_{layer}.bias"] = (units,)
    return shapes


def _wavenet_shapes(settings: WavenetSettings) -> Shapes:
    units, shapes = settings.units, Shapes()
    for layer in range(settings.layers):
        shapes[f"gates_{layer}.kernel"] = (WAVENET_KERNEL, units, 2 * units)
        shapes[f"gates_{layer}.bias"] = (2 * units,)
        # The residual and the skip connection side by side.
        shapes[f"paths_{layer}.kernel"] = (units, 2 * units)
        shapes[f"paths_{layer}.bias"] = (2 * units,)
    return {**shapes, "skip.kernel": (units, units), "skip.bias": (units,)}


def _transformer_shapes(settings: TransformerSettings) -> Shapes:
    units, shapes = settings.units, Shapes()
    hidden = transformer_hidden(units)
    for layer in range(settings.layers):
        shapes[f"attention_{layer}.scale"] = (units,)
        if settings.kernel > 1:
            shapes[f"attention_{layer}.blend"] = (settings.kernel, units)
        shapes[f"attention_{layer}.kernel"] = (units, 3 * units)  # queries, keys and values side by side
        if settings.qk_norm:
            # One for all heads: what a head looks for lies in the kernel.
            shapes[f"attention_{layer}.queries.scale"] = (units // settings.heads,)
            shapes[f"attention_{layer}.keys.scale"] = (units // settings.heads,)
        shapes[f"attention_{layer}.merge"] = (units, units)
        shapes[f"forward_{layer}.scale"] = (units,)
        if settings.kernel > 1:
            shapes[f"forward_{layer}.blend"] = (settings.kernel, units)
        shapes[f"forward_{layer}.kernel"] = (units, 2 * hidden)  # gate and value side by side
        shapes[f"forward_{layer}.merge"] = (hidden, units)
    return shapes


def _output_width(settings: EventSettings) -> int:
    """Of a network that knows what sounds: behind the events what each age of a pitch adds to its note-on, then what it
    adds to its note-off."""
    return SIZE + 2 * AGE_COUNT * settings.sounding


def _reader_shapes(settings: EventSettings, width: int) -> Shapes:
    """What puts together which pitches sound, and for how long, for a network whose layers read so many numbers."""
    if not settings.sounding:
        return {}
    return {
        "sounding.kernel": (2 * PITCH_COUNT, SOUNDING_UNITS),
        "sounding.bias": (SOUNDING_UNITS,),
        "beside.kernel": (SOUNDING_UNITS, width),
    }


def _tutorial_shapes() -> Shapes:
    shapes: Shapes = {
        "lstm_0.kernel": (3, 4 * TUTORIAL_UNITS),
        "lstm_0.recurrent": (TUTORIAL_UNITS, 4 * TUTORIAL_UNITS),
        "lstm_0.bias": (4 * TUTORIAL_UNITS,),
    }
    for head, width in {"pitch": PITCH_COUNT, "step": 1, "duration": 1}.items():
        shapes[f"{head}.kernel"] = (TUTORIAL_UNITS, width)
        shapes[f"{head}.bias"] = (width,)
    return shapes
