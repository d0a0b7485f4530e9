"""A network that knows what sounds, whatever its family: it reads the facts, and they shape what it predicts."""

from __future__ import annotations

import numpy as np
from keras import ops

from core.encoding.performance import SIZE
from core.encoding.sounding import AGE_COUNT, AGE_EDGES
from core.modeling.backend import Tensor, Tree, custom_gradient
from core.modeling.following import FollowingNetwork
from core.modeling.layers import product
from core.modeling.sounding import age_ticks, canonical_events, sounds
from core.music.notes import PITCH_COUNT

# Subtracted from the logits of what cannot follow. Its exponential is 0, so that has no probability; but where a take's
# limits leave nothing else (a note that must be released out of order), the likeliest of it is still found.
_IMPOSSIBLE = 1000.0
# Of every number of ticks the age, -1 of none.
_AGES = (np.searchsorted(AGE_EDGES, np.arange(AGE_EDGES[-1] + 1), side="right") - 1).astype(np.int32)
_PARTS = 8


def by_age(values: Tensor, ages: Tensor) -> Tensor:
    """Each pitch's value of those for the ages; 0 where an age is -1.

    Its gradient compares and adds, in eight parts of the pitches side by side. Adding up one by one takes long on a
    GPU, or differs from run to run; with one sum along the pitches a step of LSTM(256) took a third longer on a CPU.

    Args:
        values: float32 `[..., ages]`.
        ages: int32 `[..., 128]`.

    Returns:
        float32 `[..., 128]`.
    """
    count = values.shape[-1]

    @custom_gradient
    def look_up(values: Tensor) -> Tensor:
        def gradient(*upstream: Tensor) -> Tensor:
            own, each = upstream[0], np.arange(count, dtype=np.int32)[:, None]
            width = ages.shape[-1] // _PARTS
            parts = [slice(part * width, (part + 1) * width) for part in range(_PARTS)]
            sums = sum(ops.where(ages[..., None, part] == each, own[..., None, part], 0.0) for part in parts)
            return ops.sum(sums, axis=-1)

        found = ops.take_along_axis(values, ops.maximum(ages, 0), axis=-1)
        return ops.where(ages >= 0, found, 0.0), gradient

    return look_up(values)


class SoundingNetwork(FollowingNetwork):
    """A network with the wider output of `core.modeling.shapes`, whose predictions the facts of the stream shape.

    Beside each event it reads which pitches sound and for how long, put together by one hidden layer of few units.
    Behind the events the output has a logit for each age, which is added to the note-off of every pitch that has
    sounded so long, and others for the note-on of what was struck or released so long ago: when notes end and come
    again is said once for all pitches.
    And what the encoding of a piece never has at this place gets no probability; the rest is a distribution over the
    same 390 events. Training alone leaves that in: a network that has to find out by itself what cannot follow learns
    faster what can (in single runs on chorales).
    """

    def _beside(self, weights: Tree, facts: Tree) -> Tensor:
        sounding = sounds(facts)
        ages = ops.log1p(ops.cast(ops.minimum(age_ticks(facts), AGE_EDGES[-1]), "float32"))
        ages = ops.where(sounding, ages / np.float32(np.log1p(AGE_EDGES[-1])), 0.0)
        features = ops.concatenate([ops.cast(sounding, "float32"), ages], axis=-1)
        hidden = ops.relu(product(features, self._cast(weights["sounding.kernel"])) + weights["sounding.bias"])
        return product(hidden, self._cast(weights["beside.kernel"]))

    def _cast(self, kernel: Tensor) -> Tensor:
        return ops.cast(kernel, self._network.compute_dtype)

    def _known(self, logits: Tensor, facts: Tree) -> Tensor:
        logits, of_ons, of_offs = ops.split(logits, [SIZE, SIZE + AGE_COUNT], axis=-1)
        ages = ops.take(_AGES, ops.minimum(age_ticks(facts), AGE_EDGES[-1]), axis=0)
        # That no note-off of a silent pitch can follow, training has to learn: one number tells it of all of them, and
        # that is the oldest age's. Were it each one's own, it would learn from the many pitches that have been silent
        # for seconds that one which has sounded as long is not released, and such notes would hang.
        ons, offs = by_age(of_ons, ages), by_age(of_offs, ops.where(sounds(facts), ages, AGE_COUNT - 1))
        added = ops.concatenate([ons, offs, ops.zeros((*ons.shape[:-1], SIZE - 2 * PITCH_COUNT))], axis=-1)
        return logits + added

    def _without_impossible(self, logits: Tensor, events: Tensor, facts: Tree) -> Tensor:
        return ops.where(canonical_events(events, facts), logits, logits - _IMPOSSIBLE)
