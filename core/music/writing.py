"""Notes to MIDI bytes, in bulk: no loop over notes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.music.grid import LONGEST_TICKS, place_on_grid
from core.music.notes import Notes
from core.music.provenance import Provenance

TICKS_PER_SECOND = 1000
TICKS_PER_QUARTER = 500
_MICROSECONDS_PER_QUARTER = 1_000_000 * TICKS_PER_QUARTER // TICKS_PER_SECOND

_NOTE_ON, _NOTE_OFF = 0x90, 0x80


def write_midi(
    notes: Notes,
    *,
    program: int = 0,
    provenance: Provenance | None = None,
    end_seconds: float | None = None,
) -> bytes:
    """A Standard MIDI File of format 0 at 120 quarters a minute, one tick a millisecond. Equal music, equal bytes.

    Times are rounded to the nearest millisecond; what one channel cannot hold is settled as `place_on_grid` does.

    Args:
        notes: what to write; none gives a valid file of silence.
        program: General MIDI program, 0 to 127.
        provenance: written as a text event at the start.
        end_seconds: where the track ends, if that is after the last note.

    Raises:
        ValueError: a program or time outside its range.
    """
    if not 0 <= program <= 127:
        raise ValueError(f"program {program} is refused; allowed is 0 to 127")
    last_tick = 0 if end_seconds is None else end_seconds * TICKS_PER_SECOND
    if not 0 <= last_tick <= LONGEST_TICKS:
        raise ValueError(f"end_seconds {end_seconds} is refused; allowed is 0 to {LONGEST_TICKS // TICKS_PER_SECOND}")
    head = b"\x00\xff\x51\x03" + _MICROSECONDS_PER_QUARTER.to_bytes(3, "big") + bytes((0, 0xC0, program))
    if provenance is not None:
        text = provenance.to_text().encode("ascii")
        head = b"\x00\xff\x01" + _variable_length(len(text)) + text + head
    events, played_ticks = _note_events(notes)
    rest = max(round(last_tick) - played_ticks, 0)
    track = head + events + _variable_length(rest) + b"\xff\x2f\x00"
    header = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01" + TICKS_PER_QUARTER.to_bytes(2, "big")
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def _note_events(notes: Notes) -> tuple[bytes, int]:
    """The encoded note-ons and note-offs, and the tick of the last."""
    if not len(notes):
        return b"", 0
    grid = place_on_grid(notes, TICKS_PER_SECOND)
    ons = (grid.onset << 15) | (1 << 14) | (grid.pitch << 7) | grid.velocity
    offs = (grid.end << 15) | (grid.pitch << 7)
    events = np.sort(np.concatenate((offs, ons)))  # by tick, offs before ons, then by pitch
    ticks = events >> 15
    deltas = np.diff(ticks, prepend=0)
    sizes = 1 + (deltas >= 1 << 7) + (deltas >= 1 << 14) + (deltas >= 1 << 21)
    ends = np.cumsum(sizes + 3)
    out = np.empty(int(ends[-1]), np.uint8)
    out[ends - 3] = np.where(events & (1 << 14), _NOTE_ON, _NOTE_OFF)
    out[ends - 2] = (events >> 7) & 0x7F
    out[ends - 1] = events & 0x7F
    _put_deltas(out, ends - 4, deltas, sizes)
    return out.tobytes(), int(ticks[-1])


def _put_deltas(
    out: NDArray[np.uint8], last: NDArray[np.int64], deltas: NDArray[np.int64], sizes: NDArray[np.int64]
) -> None:
    """Write variable-length quantities whose last bytes lie at `last`."""
    out[last] = deltas & 0x7F
    for place in range(1, int(sizes.max())):
        rows = np.flatnonzero(sizes > place)
        out[last[rows] - place] = (deltas[rows] >> (7 * place)) & 0x7F | 0x80


def _variable_length(number: int) -> bytes:
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))
