"""Notes on a grid of equal ticks, such that one pitch never sounds twice at once: what files and events can hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.music.notes import Notes

LONGEST_TICKS = 2**28 - 1
"""The largest time that one delta of a MIDI file holds; at 1,000 ticks a second more than three days."""


@dataclass(frozen=True, slots=True, eq=False)
class GridNotes:
    """Notes in ticks, sorted by pitch and then onset.

    Attributes:
        onset: int64 `[n]`, ticks from 0.
        end: int64 `[n]`, at least `onset + 1`, at most the next onset of the same pitch.
        pitch: int64 `[n]`, 0 to 127.
        velocity: int64 `[n]`, 1 to 127.
    """

    onset: NDArray[np.int64]
    end: NDArray[np.int64]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]


def place_on_grid(notes: Notes, ticks_per_second: int) -> GridNotes:
    """Round onsets and ends to the nearest tick and settle what the grid cannot hold.

    A note lasts at least one tick; one still sounding when its pitch is struck again ends there; several of one pitch
    at one tick become one, with the velocity of the last and the end of the longest.

    Raises:
        ValueError: a time is not finite or beyond `LONGEST_TICKS`.
    """
    end_seconds = notes.onset_seconds + notes.duration_seconds
    latest = float(end_seconds.max(initial=0.0))
    if not latest * ticks_per_second <= LONGEST_TICKS - 1:
        raise ValueError(f"a note ends at {latest:g} s; at most {LONGEST_TICKS // ticks_per_second} s fit")
    onset = np.rint(notes.onset_seconds * ticks_per_second).astype(np.int64)
    end = np.rint(end_seconds * ticks_per_second).astype(np.int64)
    return settle(onset, end, notes.pitch.astype(np.int64), notes.velocity.astype(np.int64))


def settle(
    onset: NDArray[np.int64], end: NDArray[np.int64], pitch: NDArray[np.int64], velocity: NDArray[np.int64]
) -> GridNotes:
    """As `place_on_grid`, for int64 columns `[n]` that are in ticks already, in any order; at most 2^28 notes."""
    # Sorting plain integers that carry their row is several times faster here than argsort of two keys.
    keys = np.sort((pitch << 56) | (onset << 28) | np.arange(len(onset)))
    order = keys & (2**28 - 1)
    onset, end, pitch, velocity = onset[order], end[order], pitch[order], velocity[order]
    places = keys >> 28
    last = np.append(places[1:] != places[:-1], True)[: len(places)]
    if not last.all():
        firsts = np.concatenate(([0], np.flatnonzero(last)[:-1] + 1))
        end = np.maximum.reduceat(end, firsts)
        onset, pitch, velocity = onset[last], pitch[last], velocity[last]
    end = np.maximum(end, onset + 1)
    end[:-1] = np.where(pitch[1:] == pitch[:-1], np.minimum(end[:-1], onset[1:]), end[:-1])
    return GridNotes(onset, end, pitch, velocity)
