"""Provenance: what goes into a file comes out again, and what is wrong is said."""

from __future__ import annotations

import io

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import MidiError
from core.music.notes import Notes
from core.music.provenance import Provenance, read_provenance
from core.music.writing import write_midi

NOTES = Notes.of([0.0], [1.0], [60], [90])
EXAMPLE = Provenance("0f" * 32, 42, {"temperature": 0.9, "primer": None, "length": 120}, "compiled 1")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(
    st.builds(
        Provenance,
        model_hash=st.text(alphabet="0123456789abcdef", min_size=1, max_size=64),
        seed=st.integers(0, 2**32 - 1),
        settings=st.dictionaries(st.text(max_size=10), json_values, max_size=6),
        sampler=st.text(max_size=20),
    )
)
def test_provenance_survives_a_file(provenance):
    assert provenance.to_text().isascii()
    assert read_provenance(write_midi(NOTES, provenance=provenance)) == provenance


def test_equal_provenance_is_equal_text_whatever_the_order_of_settings():
    turned = Provenance("0f" * 32, 42, dict(reversed(EXAMPLE.settings.items())), "compiled 1")
    assert turned.to_text() == EXAMPLE.to_text()
    assert " {" in EXAMPLE.to_text()
    assert '"seed":42' in EXAMPLE.to_text()


def test_provenance_is_found_where_another_program_moved_it():
    file = mido.MidiFile(file=io.BytesIO(write_midi(NOTES, provenance=EXAMPLE)))
    text = file.tracks[0].pop(0)
    file.type = 1
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("track_name", name="x"), text.copy(time=99)]))
    buffer = io.BytesIO()
    file.save(file=buffer)
    assert read_provenance(buffer.getvalue()) == EXAMPLE


def test_what_is_wrong_is_said():
    written = write_midi(NOTES, provenance=EXAMPLE)
    for data, words in (
        (b"no music", "not a MIDI file"),
        (write_midi(NOTES), "carries no Cadenza provenance"),
        (written.replace(b"provenance 1 ", b"provenance 7 "), "format 7, from a newer Cadenza"),
        (written.replace(b"provenance 1 ", b"provenance x "), "damaged: its format"),
        (written.replace(b'"seed":42', b'"seed":4?'), "damaged: it is not whole"),
        (written.replace(b'"seed":42', b'"seed":-2'), "damaged: its seed is -2"),
        (written.replace(b'"seed":42', b'"sead":42'), "damaged: it lacks"),
        (written.replace(b'{"model_hash"', b"[" * 14), "damaged"),
    ):
        with pytest.raises(MidiError, match=words):
            read_provenance(data)


def test_deep_nesting_is_refused_as_damage():
    text = b"Cadenza provenance 1 " + b"[" * 60_000
    track = b"\x00\xff\x01" + bytes((0x80 | len(text) >> 14, 0x80 | (len(text) >> 7) & 127, len(text) & 127)) + text
    with pytest.raises(MidiError, match="damaged"):
        read_provenance(b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk" + len(track).to_bytes(4, "big") + track)


@pytest.mark.parametrize("settings", [{"x": float("nan")}, {"x": object()}, {"x": "y" * 70_000}])
def test_what_cannot_be_written_is_refused(settings):
    with pytest.raises(ValueError, match=r"JSON|characters"):
        Provenance("00", 1, settings, "s").to_text()
