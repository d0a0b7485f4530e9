"""Writing MIDI: what pretty_midi, mido and our own reader find in the bytes."""

from __future__ import annotations

import io

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.music.notes import Notes
from core.music.provenance import Provenance
from core.music.reading import read_midi
from core.music.writing import write_midi


def settle_slowly(notes):
    """(start ms, end ms, pitch, velocity) as one channel can hold them, by a loop over the notes of each pitch."""
    settled = []
    for pitch in sorted(set(notes.pitch.tolist())):
        strikes: dict[int, tuple[int, int]] = {}
        for onset, duration, same, velocity in notes:
            if same == pitch:
                start = round(onset * 1000)
                longest = strikes.get(start, (0, 0))[0]
                strikes[start] = (max(longest, round((onset + duration) * 1000), start + 1), velocity)
        starts = sorted(strikes)
        for start, following in zip(starts, [*starts[1:], 10**9], strict=True):
            end, velocity = strikes[start]
            settled.append((start, min(end, following), pitch, velocity))
    return sorted(settled, key=lambda note: (note[0], note[2]))


def in_ms(notes):
    return [
        (round(onset * 1000), round((onset + duration) * 1000), pitch, velocity)
        for onset, duration, pitch, velocity in notes
    ]


@given(data=st.data(), program=st.integers(0, 127))
@settings(max_examples=100)
def test_written_notes_are_read_back_by_pretty_midi_and_by_us(any_notes, data, program):
    notes = data.draw(any_notes)
    written = write_midi(notes, program=program)
    expected = settle_slowly(notes)
    theirs = pretty_midi.PrettyMIDI(io.BytesIO(written))
    if not expected:
        assert theirs.instruments == []
        return
    reading = read_midi(written)
    assert in_ms(reading.notes) == expected
    assert [(i.program, i.is_drum) for i in reading.instruments] == [(program, False)]
    (instrument,) = theirs.instruments
    assert instrument.program == program
    found = [(round(n.start * 1000), round(n.end * 1000), n.pitch, n.velocity) for n in instrument.notes]
    assert sorted(found, key=lambda note: (note[0], note[2])) == expected
    assert write_midi(reading.notes, program=program) == written


def test_real_pieces_survive_to_the_millisecond(real_files):
    for data in sorted(real_files.values(), key=len)[:8]:
        notes = read_midi(data).notes
        assert in_ms(read_midi(write_midi(notes)).notes) == settle_slowly(notes)


def test_a_10_ms_grid_is_kept_exactly():
    onset = np.arange(2000) / 100
    written = write_midi(Notes.of(onset, np.full(2000, 0.01), np.full(2000, 60), np.full(2000, 64)))
    assert in_ms(read_midi(written).notes) == [(10 * row, 10 * row + 10, 60, 64) for row in range(2000)]


def test_the_file_is_format_0_and_ends_when_told():
    notes = Notes.of([0.5], [1.0], [60], [90])
    for end_seconds, length in ((None, 1.5), (1.0, 1.5), (300.0, 300.0)):
        file = mido.MidiFile(file=io.BytesIO(write_midi(notes, end_seconds=end_seconds)))
        assert (file.type, file.ticks_per_beat) == (0, 500)
        assert file.length == pytest.approx(length, abs=1e-9)
        assert file.tracks[0][-1].type == "end_of_track"
    assert mido.MidiFile(file=io.BytesIO(write_midi(Notes.empty(), end_seconds=2.0))).length == pytest.approx(2.0)


def test_provenance_is_one_text_event_at_the_start():
    provenance = Provenance("ab" * 32, 7, {"temperature": 1.0, "note": "é" * 300}, "s")
    (track,) = mido.MidiFile(file=io.BytesIO(write_midi(Notes.empty(), provenance=provenance))).tracks
    assert (track[0].type, track[0].time, track[0].text) == ("text", 0, provenance.to_text())


def test_long_pauses_need_every_size_of_delta():
    gaps = [0.0, 0.127, 0.128, 16.383, 16.384, 2097.151, 2097.152]
    onset = np.cumsum(gaps)
    notes = Notes.of(onset, np.full(len(gaps), 0.001), np.arange(60, 60 + len(gaps)), np.full(len(gaps), 1))
    assert in_ms(read_midi(write_midi(notes)).notes) == settle_slowly(notes)


@pytest.mark.parametrize(
    ("notes", "values", "words"),
    [
        (Notes.empty(), {"program": 128}, "program 128"),
        (Notes.empty(), {"end_seconds": -1.0}, "end_seconds -1"),
        (Notes.empty(), {"end_seconds": float("nan")}, "end_seconds nan"),
        (Notes.of([300_000], [1], [60], [64]), {}, "300001 s"),
    ],
)
def test_values_outside_their_range_are_refused(notes, values, words):
    with pytest.raises(ValueError, match=words):
        write_midi(notes, **values)
