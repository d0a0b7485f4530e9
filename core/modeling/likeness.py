"""Random numbers for events that begin alike where the events are: neighbours, octaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.encoding.performance import BEGIN, NOTE_OFF, NOTE_ON, SIZE, TIME_SHIFT, VELOCITY, VELOCITY_BINS
from core.music.notes import PITCH_COUNT

# How long the waves are: four octaves; six tenths of the way from 10 ms to 1 s, by the logarithm, and of that from the
# softest to the loudest. At a third of that little is left in common.
_WAVE_SEMITONES = 48.0
_WAVE_SHARE = 0.6
# Of the variance of a pitch's numbers: what it shares with its neighbours and with its octaves; the rest is its own.
_OF_PITCHES = (0.5, 0.3, 0.2)
# The same of pauses and loudness, which have no octaves.
_OF_AMOUNTS = (0.8, 0.2)


def alike_where_events_are(generator: np.random.Generator, width: int) -> NDArray[np.float64]:
    """`width` numbers for each event, float64 `[390, width]`, with the mean 0 and the variance of even ones within 1.

    Note-ons of neighbouring pitches and of octaves correlate, and so do note-offs, and neighbouring pauses (by the
    logarithm) and loudnesses. What neighbours share is a sum of random waves (Rahimi and Recht 2007): one cosine of
    random frequency and phase for each number, whose correlation falls with the distance as a Gauss curve does.
    """
    pitches = np.arange(PITCH_COUNT, dtype=np.float64)
    pauses = np.log(np.arange(1, VELOCITY - TIME_SHIFT + 1))
    loudness = np.arange(VELOCITY_BINS) / VELOCITY_BINS

    def waves(places: NDArray[np.float64], length: float) -> NDArray[np.float64]:
        frequencies, phases = generator.normal(size=width) / length, generator.random(width)
        found: NDArray[np.float64] = np.sqrt(2.0) * np.cos(2 * np.pi * (frequencies * places[:, None] + phases))
        return found

    def own(count: int) -> NDArray[np.float64]:
        return generator.normal(size=(count, width))

    numbers = own(SIZE)
    near, octaves, rest = np.sqrt(_OF_PITCHES)
    for first in (NOTE_ON, NOTE_OFF):
        shared = near * waves(pitches, _WAVE_SEMITONES) + octaves * own(12)[np.arange(PITCH_COUNT) % 12]
        numbers[first : first + PITCH_COUNT] = shared + rest * own(PITCH_COUNT)
    near, rest = np.sqrt(_OF_AMOUNTS)
    numbers[TIME_SHIFT:VELOCITY] = near * waves(pauses / pauses[-1], _WAVE_SHARE) + rest * own(pauses.size)
    numbers[VELOCITY:BEGIN] = near * waves(loudness, _WAVE_SHARE) + rest * own(loudness.size)
    scaled: NDArray[np.float64] = numbers / np.sqrt(3.0)
    return scaled
