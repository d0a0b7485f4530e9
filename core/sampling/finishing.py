"""The last touches on a take: tempo, exact length, fixed velocity. Light: no Keras in here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.music.notes import Notes
from core.sampling.settings import TakeSettings

_SHORTEST_SECONDS = 0.01


def finish_take(notes: Notes, settings: TakeSettings, *, led_by: int = 0, led_seconds: float = 0.0) -> Notes:
    """Apply what the settings ask of a finished take.

    The length refers to what is heard, after the tempo: `seconds` cuts what would begin or sound later, `notes` keeps
    the first so many. No note is shorter than 10 ms, unless the take's end cuts it. A primer that the take begins with
    keeps its tempo and velocities, and the length counts what follows it.

    Args:
        notes: as composed, in order of onset.
        settings: the take's.
        led_by: how many of the first notes are the primer's.
        led_seconds: the onset of the last of them.
    """

    def after_tempo(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(seconds <= led_seconds, seconds, led_seconds + (seconds - led_seconds) / settings.tempo_factor)

    onset = after_tempo(notes.onset_seconds)
    duration = np.maximum(after_tempo(notes.onset_seconds + notes.duration_seconds) - onset, _SHORTEST_SECONDS)
    velocity = notes.velocity.copy()
    if settings.velocity:
        velocity[led_by:] = settings.velocity
    if settings.length_unit == "seconds":
        end = led_seconds + settings.length
        kept = onset < end
        duration = np.minimum(duration, end - onset)
    else:
        kept = np.arange(len(notes)) < led_by + settings.length
    return Notes(onset[kept], duration[kept], notes.pitch[kept], velocity[kept])
