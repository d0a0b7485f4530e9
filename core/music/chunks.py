"""The outer structure of a MIDI file: its header and where its tracks lie, checked before anything is parsed."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from core.errors import MidiError

LARGEST_BYTES = 16 * 2**20
MOST_TRACKS = 4096

_HEADER_BYTES = 14
_CHUNK_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Chunks:
    """What the header says, and the tracks that are really there.

    Attributes:
        format: 0 (one track), 1 (tracks played together) or 2 (tracks that are pieces of their own).
        ticks_per_quarter: 1 to 32,767.
        tracks: (first, end) byte positions of the contents of each track.
    """

    format: int
    ticks_per_quarter: int
    tracks: tuple[tuple[int, int], ...]


def find_chunks(data: bytes) -> Chunks:
    """Check the header and walk the chunks of a Standard MIDI File (RP-001, 1996); looks at no event.

    Chunks of unknown kinds are passed over, as the standard asks, and so is what follows the last track that the
    header announces.

    Raises:
        MidiError: not MIDI, too large, cut short, or a header that makes no sense; the message says which.
    """
    if not data:
        raise MidiError("The file is empty (0 bytes).")
    if len(data) > LARGEST_BYTES:
        raise MidiError(
            f"The file has {len(data):,} bytes; at most {LARGEST_BYTES:,} are read. Split it into shorter pieces."
        )
    if data[:4] != b"MThd":
        raise MidiError(f"This is not a MIDI file: it begins with {_quote(data[:4])}, a MIDI file with 'MThd'.")
    if len(data) < _HEADER_BYTES:
        raise MidiError(f"The file is cut short inside its header: it has {len(data)} bytes, a header has 14.")
    length, kind, announced, division = struct.unpack(">IHHH", data[4:_HEADER_BYTES])
    if length != 6:
        raise MidiError(f"The header is damaged: it claims a length of {length:,} bytes instead of 6.")
    if kind > 2:
        raise MidiError(f"The header is damaged: it names MIDI format {kind}; there are only 0, 1 and 2.")
    if division & 0x8000:
        raise MidiError(
            f"Its times are film frames (SMPTE, {256 - (division >> 8)} a second) and not musical ticks; "
            "save it again with ticks per quarter note."
        )
    if division == 0:
        raise MidiError("The header is damaged: it gives 0 ticks to a quarter note, so that no time can pass.")
    return Chunks(kind, division, _find_tracks(data, announced))


def _find_tracks(data: bytes, announced: int) -> tuple[tuple[int, int], ...]:
    tracks: list[tuple[int, int]] = []
    position = _HEADER_BYTES
    while position + _CHUNK_HEADER_BYTES <= len(data):
        name = data[position : position + 4]
        length = int.from_bytes(data[position + 4 : position + _CHUNK_HEADER_BYTES], "big")
        first = position + _CHUNK_HEADER_BYTES
        end = first + length
        if name != b"MTrk":
            if tracks and (len(tracks) >= announced or end > len(data)):
                break
            if end > len(data):
                raise MidiError(f"It holds no track: where 'MTrk' should stand is {_quote(name)}.")
        elif end > len(data):
            raise MidiError(
                f"The file is cut short or damaged: track {len(tracks) + 1} claims {length:,} bytes, "
                f"but only {len(data) - first:,} are left."
            )
        else:
            tracks.append((first, end))
            if len(tracks) > MOST_TRACKS:
                raise MidiError(f"It holds more than {MOST_TRACKS:,} tracks; no more are read.")
        position = end
    if not tracks:
        raise MidiError("It holds no track: the file ends after its header.")
    return tuple(tracks)


def _quote(name: bytes) -> str:
    return repr(name.decode("latin-1"))
