"""The performance encoding: key presses, releases, pauses and loudness as one stream of events.

The vocabulary of Performance RNN and Music Transformer (128 note-ons, 128 note-offs, 100 time shifts of 10 ms, 32
velocities) with begin and end of piece. The stream of given notes is unique: a velocity event only where the velocity
changes, the fewest time shifts, note-offs before note-ons at one instant, each in order of pitch.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.music.grid import LONGEST_TICKS, place_on_grid, settle
from core.music.notes import Notes

NOTE_ON = 0
NOTE_OFF = 128
TIME_SHIFT = 256
"""Token 256 passes 10 ms, token 355 a second."""
VELOCITY = 356
BEGIN = 388
END = 389
SIZE = 390

STEPS_PER_SECOND = 100
LONGEST_SHIFT_STEPS = 100
VELOCITY_BINS = 32
_VELOCITIES_PER_BIN = 4
_DEFAULT_BIN = 16

Events = NDArray[np.uint16]


def velocity_bin(velocity: NDArray[np.integer]) -> NDArray[np.int64]:
    """Bin 0 to 31 of each velocity 1 to 127: four velocities a bin, the last has three."""
    return (velocity.astype(np.int64) - 1) // _VELOCITIES_PER_BIN


def bin_velocity(bins: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The velocity that stands for each bin: the second of its four."""
    return (bins * _VELOCITIES_PER_BIN + 2).astype(np.uint8)


def encode(notes: Notes) -> Events:
    """Notes as events, uint16 `[e]`, `BEGIN` first and `END` last.

    Times are rounded to 10 ms; what that grid cannot hold is settled as `core.music.grid.place_on_grid` says.

    Raises:
        ValueError: a note ends after more than 2,684,354 s.
    """
    if not len(notes):
        return np.array([BEGIN, END], np.uint16)
    grid = place_on_grid(notes, STEPS_PER_SECOND)
    # One integer per event that sorts into the canonical order: step, off before on, pitch; the bin rides along.
    ons = (grid.onset << 13) | (1 << 12) | (grid.pitch << 5) | velocity_bin(grid.velocity)
    offs = (grid.end << 13) | (grid.pitch << 5)
    keys = np.sort(np.concatenate((offs, ons)))
    steps = keys >> 13
    is_on = (keys & (1 << 12)) != 0
    gaps = np.diff(steps, prepend=0)
    shifts = (gaps + LONGEST_SHIFT_STEPS - 1) // LONGEST_SHIFT_STEPS
    on_rows = np.flatnonzero(is_on)
    bins = keys[on_rows] & (VELOCITY_BINS - 1)
    changes = on_rows[np.concatenate(([True], bins[1:] != bins[:-1]))]
    sizes = shifts + 1
    sizes[changes] += 1
    ends = np.cumsum(sizes)  # BEGIN at 0 makes these the places of the note events
    events = np.full(int(ends[-1]) + 2, TIME_SHIFT + LONGEST_SHIFT_STEPS - 1, np.uint16)
    events[0], events[-1] = BEGIN, END
    events[ends] = np.where(is_on, NOTE_ON, NOTE_OFF) + ((keys >> 5) & 0x7F)
    events[ends[changes] - 1] = VELOCITY + (keys[changes] & (VELOCITY_BINS - 1))
    pauses = np.flatnonzero(shifts)
    # Of a pause's shifts all but the last pass a whole second.
    last_shift = ends[pauses] - sizes[pauses] + shifts[pauses]
    events[last_shift] = TIME_SHIFT + (gaps[pauses] - 1) % LONGEST_SHIFT_STEPS
    return events


def encode_pieces(notes: Notes, offsets: NDArray[np.int64]) -> tuple[Events, NDArray[np.int64]]:
    """Many pieces laid end to end, each encoded for itself.

    Args:
        notes: the columns of all pieces; times count from the start of each piece.
        offsets: int64 `[pieces + 1]`; piece i owns rows `offsets[i]` to `offsets[i + 1]`.

    Returns:
        events uint16 `[e]` and their own offsets int64 `[pieces + 1]`.
    """
    bounds = offsets.tolist()
    pieces = [encode(notes[slice(first, end)]) for first, end in pairwise(bounds)]
    event_offsets = np.cumsum([0, *(len(piece) for piece in pieces)], dtype=np.int64)
    return np.concatenate(pieces) if pieces else np.empty(0, np.uint16), event_offsets


def decode(events: ArrayLike) -> Notes:
    """Any stream of events as notes; `decode(encode(n))` is `n` on the 10 ms grid with binned velocities.

    Note-offs of silent pitches, `BEGIN` and `END` do nothing; a note-on of a sounding pitch ends what sounded; what
    still sounds at the end of the stream is ended there. No note is shorter than 10 ms; of several note-ons of one
    pitch at one instant the last stays. Before the first velocity event, velocity is 66.

    Args:
        events: integers `[e]`, 0 to 389.

    Raises:
        ValueError: an event outside the vocabulary, or a stream that lasts longer than a month.
    """
    tokens = np.asarray(events).astype(np.int64, copy=False)
    if tokens.size and not (tokens.min() >= 0 and tokens.max() < SIZE):
        raise ValueError(f"events span {tokens.min()} to {tokens.max()}, allowed is 0 to {SIZE - 1}")
    is_shift = (tokens >= TIME_SHIFT) & (tokens < VELOCITY)
    steps = np.cumsum(np.where(is_shift, tokens - (TIME_SHIFT - 1), 0))
    if tokens.size and steps[-1] >= LONGEST_TICKS:
        raise ValueError(f"events last {steps[-1]} steps, allowed is less than {LONGEST_TICKS}")
    rows = np.flatnonzero(tokens < TIME_SHIFT)
    if not len(rows):
        return Notes.empty()
    velocity_rows = np.flatnonzero((tokens >= VELOCITY) & (tokens < BEGIN))
    levels = np.concatenate(([_DEFAULT_BIN], tokens[velocity_rows] - VELOCITY))
    bins = levels[np.searchsorted(velocity_rows, rows)]
    pitch = (tokens[rows] & 0x7F).astype(np.uint8)
    order = np.argsort(pitch, kind="stable")  # a radix sort for bytes
    pitch, at, is_on = pitch[order], steps[rows[order]], tokens[rows[order]] < NOTE_OFF
    until = np.append(at[1:], steps[-1])
    until[:-1] = np.where(pitch[1:] == pitch[:-1], until[:-1], steps[-1])
    grid = settle(at[is_on], until[is_on], pitch[is_on].astype(np.int64), bins[order][is_on])
    final = np.argsort((grid.onset << 7) | grid.pitch)
    onset, end = grid.onset[final], grid.end[final]
    return Notes(
        onset / STEPS_PER_SECOND,
        (end - onset) / STEPS_PER_SECOND,
        grid.pitch[final].astype(np.uint8),
        bin_velocity(grid.velocity[final]),
    )
