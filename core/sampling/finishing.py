"""The last touches on a take: tempo, exact length, fixed velocity. Light: no Keras in here."""

from __future__ import annotations

import numpy as np

from core.music.notes import Notes
from core.sampling.settings import TakeSettings

_SHORTEST_SECONDS = 0.01


def finish_take(notes: Notes, settings: TakeSettings) -> Notes:
    """Apply what the settings ask of a finished take.

    The length refers to what is heard, after the tempo: `seconds` cuts what would begin or sound later, `notes` keeps
    the first so many. No note is shorter than 10 ms, unless the take's end cuts it.
    """
    onset = notes.onset_seconds / settings.tempo_factor
    duration = np.maximum(notes.duration_seconds / settings.tempo_factor, _SHORTEST_SECONDS)
    velocity = np.full_like(notes.velocity, settings.velocity) if settings.velocity else notes.velocity
    if settings.length_unit == "seconds":
        kept = onset < settings.length
        duration = np.minimum(duration, settings.length - onset)
    else:
        kept = np.arange(len(notes)) < settings.length
    return Notes(onset[kept], duration[kept], notes.pitch[kept], velocity[kept])
