"""MIDI files and zips as no sane program writes them: real and made ones, each damaged in a few places."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from core.music.notes import Notes
from core.music.writing import write_midi

LARGEST_BYTES = 1 << 18
# What parsers stumble over: lengths that go on for ever, events that are cut off, no tempo, ends in the middle.
_STUMBLING_BLOCKS = (
    b"\xff\xff\xff\x7f",
    b"\x80\x80\x80\x80\x80\x00",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\x7f\xff\xff\xff",
    b"\x00\xff\x2f\x00",
    b"\x00\xff\x51\x03\x00\x00\x00",
    b"\x00\xff\x51\x03\xff\xff\xff",
    b"\x00\xff\x03\xff\xff\xff\x7f",
    b"\x00\xff\x58\x04\x00\xff\x00\x00",
    b"\x00\xff\x59\x02\x80\x7f",
    b"\x00\xf0\xff\xff\x7f",
    b"\x00\xf7",
    b"\x00\x90\x3c\x40",
    b"\x00\xb0\x40\x7f",
    b"\x3c\x00",
    b"MTrk",
    b"MThd\x00\x00\x00\x06",
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
)
_SMALL_BYTES = 24_000


@dataclass(frozen=True, slots=True)
class FuzzFile:
    """A file to be read: a MIDI file, or a zip of some."""

    data: bytes
    is_zip: bool

    @property
    def name(self) -> str:
        """A name of its kind."""
        return "files.zip" if self.is_zip else "file.mid"


def whole_files(cases: Path | None = None) -> list[bytes]:
    """Small MIDI files to damage: made ones of every form, and those of a folder if there is one."""
    files = [_made(seed) for seed in range(6)]
    note = b"\x00\x90\x3c\x40\x81\x00\x3c\x00"
    files += [_file(0, note), _file(1, note, b"\x00\xc9\x01" + note, note), _file(2, note, note), _file(1, note * 400)]
    files.append(_file(1, b"\x00\xb0\x40\x7f" + note * 20 + b"\x00\xb0\x40\x00", b"\x00\xff\x51\x03\x07\xa1\x20" * 50))
    if cases is not None:
        found = sorted(path for path in cases.rglob("*") if path.is_file() and path.stat().st_size <= _SMALL_BYTES)
        files += [path.read_bytes() for path in found]
    return files


def damaged_files(whole: Sequence[bytes]) -> st.SearchStrategy[FuzzFile]:
    """One of the files `whole`, or a zip of up to three of them, with up to four damages each."""
    midi = st.builds(_damaged, st.sampled_from(whole), st.lists(_damages(), max_size=4))
    names = st.sampled_from(["a.mid", "b/ä.midi", "c.kar", "noten", "m.csv", "\u202ex.mid", "z.zip", "../up.mid"])
    methods = st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED] * 3 + [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    packed = st.builds(
        _zipped, st.lists(st.tuples(names | names.map(lambda _: "d.mid"), midi, methods), min_size=1, max_size=3)
    )
    damaged_zip = st.builds(_damaged, packed, st.lists(_damages(), max_size=3))
    # Zips take longer to make, and what is in them is read as the others are.
    return st.integers(0, 3).flatmap(
        lambda place: (midi if place else damaged_zip).map(lambda data: FuzzFile(data, is_zip=place == 0))
    )


_Damage = tuple[str, float, float, bytes, int]


def _damages() -> st.SearchStrategy[_Damage]:
    kinds = st.sampled_from(["set", "insert", "over", "drop", "double", "cut", "move", "repeat", "number"])
    # Hypothesis likes the smallest number best, which shall not be the first byte: what is no MIDI at all is dull.
    place = st.integers(0, 0xFFFF).map(lambda number: (number * 40503 + 30011) % 0x10000 / 0x10000)
    piece = st.sampled_from(_STUMBLING_BLOCKS) | st.binary(min_size=1, max_size=6)
    return st.tuples(kinds, place, place, piece, st.sampled_from([1, 2, 3, 7, 8, 30, 200, 3000]))


def _damaged(data: bytes, damages: list[_Damage]) -> bytes:
    for kind, first, second, piece, count in damages:
        at = int(first * len(data))
        span = 1 + int(second * min(len(data), 64))
        end = min(at + span, len(data))
        if kind in {"set", "over"}:
            data = data[:at] + piece[: 1 if kind == "set" else None] + data[at + (1 if kind == "set" else len(piece)) :]
        elif kind == "insert":
            data = data[:at] + piece + data[at:]
        elif kind == "drop":
            data = data[:at] + data[end:]
        elif kind == "double":
            data = data[:end] + data[at:]
        elif kind == "cut":
            data = data[:at]
        elif kind == "move":
            data = data[:at] + data[end:] + data[at:end]
        elif kind == "repeat":
            data = data[:at] + data[at:end] * count + data[end:]
        else:
            data = data[:at] + struct.pack(">I", count * 0x01010101 & 0xFFFFFFFF) + data[at + 4 :]
        data = data[:LARGEST_BYTES]
    return data


def _zipped(entries: list[tuple[str, bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index, (name, data, method) in enumerate(entries):
            archive.writestr(zipfile.ZipInfo(name if index == 0 else f"{index}{name}"), data, method)
    return buffer.getvalue()


def _made(seed: int) -> bytes:
    generator = np.random.default_rng(seed)
    count = 10 * (seed + 1)
    onsets = np.cumsum(generator.integers(0, 40, count)) / 100
    lengths = generator.integers(1, 200, count) / 100
    return write_midi(Notes.of(onsets, lengths, generator.integers(21, 109, count), generator.integers(1, 128, count)))


def _file(kind: int, *tracks: bytes) -> bytes:
    bodies = [track + b"\x00\xff\x2f\x00" for track in tracks]
    head = b"MThd" + struct.pack(">IHHH", 6, kind, len(tracks), 480)
    return head + b"".join(b"MTrk" + struct.pack(">I", len(body)) + body for body in bodies)
