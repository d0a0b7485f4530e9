"""Real files, hand-made files and drawn notes for the tests of music."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from core.music.notes import Notes

Event = tuple[int, bytes]


@pytest.fixture(scope="session")
def real_files(shared_data: Path) -> dict[str, bytes]:
    """Eight MAESTRO and four Vienna files, spread over each."""
    files = {}
    for archive, count in (("maestro-v3.0.0-midi-train-validation.zip", 8), ("vienna4x22-midi.zip", 4)):
        with zipfile.ZipFile(shared_data / archive) as opened:
            entries = sorted(
                (entry for entry in opened.infolist() if entry.filename.endswith((".mid", ".midi"))),
                key=lambda entry: (entry.file_size, entry.filename),
            )
            # Smaller ones, since pretty_midi reads them too.
            chosen = np.linspace(0, len(entries) // 2, count).astype(int)
            files.update({entries[row].filename: opened.read(entries[row]) for row in chosen})
    return files


@pytest.fixture(scope="session")
def build_midi() -> Callable[..., bytes]:
    """A function that builds a MIDI file of tracks, each a list of (delta ticks, event bytes)."""

    def quantity(number: int) -> bytes:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.insert(0, number & 0x7F | 0x80)
        return bytes(groups)

    def build(*tracks: list[Event], division: int = 480, kind: int | None = None, length: int = 6) -> bytes:
        chunks = b""
        for track in tracks:
            body = b"".join(quantity(delta) + event for delta, event in [*track, (0, b"\xff\x2f\x00")])
            chunks += b"MTrk" + struct.pack(">I", len(body)) + body
        kind = (0 if len(tracks) == 1 else 1) if kind is None else kind
        return b"MThd" + struct.pack(">IHHH", length, kind, len(tracks), division) + chunks

    return build


@pytest.fixture(scope="session")
def any_notes() -> st.SearchStrategy[Notes]:
    """Notes with overlaps, repeats at one instant, and lengths from nothing to several seconds."""
    row = st.tuples(
        st.floats(0, 20, allow_nan=False) | st.integers(0, 200).map(lambda step: step / 100),
        st.floats(0, 4, allow_nan=False) | st.just(0.0),
        st.sampled_from((0, 21, 60, 61, 64, 127)) | st.integers(0, 127),
        st.integers(1, 127),
    )
    return st.lists(row, max_size=40).map(lambda rows: Notes.of(*(list(zip(*rows, strict=True)) or [[], [], [], []])))
