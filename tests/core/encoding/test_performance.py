"""The performance encoding: canonical streams, exact round trips, and any stream decoded as a slow loop decodes it."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.encoding import performance as events
from core.encoding.performance import decode, encode, encode_pieces
from core.music.notes import Notes
from core.music.reading import read_midi

rows = st.lists(
    st.tuples(
        st.integers(0, 900).map(lambda step: step / 100) | st.floats(0, 9),
        st.floats(0, 3) | st.just(0.0),
        st.sampled_from((0, 60, 61, 127)),
        st.integers(1, 127),
    ),
    max_size=30,
)


def to_notes(drawn):
    return Notes.of(*(list(zip(*drawn, strict=True)) or [[], [], [], []]))


def in_steps(notes):
    return [(round(o * 100), round((o + d) * 100), pitch, velocity) for o, d, pitch, velocity in notes]


def encode_slowly(notes):
    """The canonical stream by a loop over instants."""
    starts: dict[int, dict[int, list[int]]] = {}
    for onset, duration, pitch, velocity in notes:
        start = round(onset * 100)
        note = starts.setdefault(pitch, {}).setdefault(start, [0, 0])
        note[:] = max(note[0], start + 1, round((onset + duration) * 100)), velocity
    moments: dict[int, tuple[list[int], list[tuple[int, int]]]] = {}
    for pitch, strikes in starts.items():
        for start, (longest, velocity) in strikes.items():
            end = min([longest, *(other for other in strikes if other > start)])
            moments.setdefault(start, ([], []))[1].append((pitch, (velocity - 1) // 4))
            moments.setdefault(end, ([], []))[0].append(pitch)
    stream, now, loudness = [events.BEGIN], 0, None
    for step in sorted(moments):
        while now < step:
            shift = min(100, step - now)
            stream.append(events.TIME_SHIFT + shift - 1)
            now += shift
        offs, ons = moments[step]
        stream += [events.NOTE_OFF + pitch for pitch in sorted(offs)]
        for pitch, bin_ in sorted(ons):
            if bin_ != loudness:
                stream.append(events.VELOCITY + bin_)
                loudness = bin_
            stream.append(events.NOTE_ON + pitch)
    return [*stream, events.END]


def decode_slowly(stream):
    now, loudness, sounding, done = 0, 66, {}, {}

    def close(pitch):
        start, velocity = sounding.pop(pitch)
        end = max(now, start + 1)
        longest = max(end, done.get((start, pitch), (0, 0))[0])
        done[start, pitch] = (longest, velocity)

    for token in stream:
        if token < 256:
            pitch = token % 128
            if pitch in sounding:
                close(pitch)
            if token < 128:
                sounding[pitch] = (now, loudness)
        elif token < 356:
            now += token - 255
        elif token < 388:
            loudness = (token - 356) * 4 + 2
    for pitch in list(sounding):
        close(pitch)
    notes = []
    for (start, pitch), (end, velocity) in sorted(done.items()):
        following = min((other for other, same in done if same == pitch and other > start), default=end)
        notes.append((start, min(end, following), pitch, velocity))
    return notes


def test_the_vocabulary_is_the_published_one():
    assert (events.NOTE_ON, events.NOTE_OFF, events.TIME_SHIFT, events.VELOCITY) == (0, 128, 256, 356)
    assert (events.BEGIN, events.END, events.SIZE) == (388, 389, 390)
    stream = encode(Notes.of([0, 1.5], [1, 0.5], [60, 64], [1, 127]))
    assert stream.dtype == np.uint16
    assert stream.tolist() == [388, 356, 60, 355, 128 + 60, 305, 356 + 31, 64, 305, 128 + 64, 389]


@given(rows)
def test_encoding_is_the_canonical_stream(drawn):
    assert encode(to_notes(drawn)).tolist() == encode_slowly(to_notes(drawn))


@given(rows)
def test_a_canonical_stream_comes_back_as_itself(drawn):
    stream = encode(to_notes(drawn))
    notes = decode(stream)
    assert encode(notes).tolist() == stream.tolist()
    assert all(end > start for start, end, _, _ in in_steps(notes))


@given(st.lists(st.integers(0, 389) | st.sampled_from((60, 188, 256, 260, 355, 370)), max_size=60))
@settings(max_examples=200)
def test_any_stream_is_decoded_as_a_loop_decodes_it(stream):
    notes = decode(np.array(stream, np.uint16))
    assert in_steps(notes) == decode_slowly(stream)
    again = encode(notes)
    assert encode(decode(again)).tolist() == again.tolist()


def test_spaced_notes_come_back_within_the_grid():
    random = np.random.default_rng(3)
    onset = np.cumsum(random.uniform(0.05, 2.5, 300))
    notes = Notes.of(onset, random.uniform(0.03, 6, 300), np.arange(300) % 88 + 21, random.integers(1, 128, 300))
    back = decode(encode(notes))
    np.testing.assert_allclose(back.onset_seconds, notes.onset_seconds, rtol=0, atol=0.005001)
    ends = notes.onset_seconds + notes.duration_seconds
    np.testing.assert_allclose(back.onset_seconds + back.duration_seconds, ends, rtol=0, atol=0.005001)
    assert np.abs(back.velocity.astype(int) - notes.velocity).max() <= 2
    assert back.pitch.tolist() == notes.pitch.tolist()


def test_real_pieces_are_encoded_and_come_back(shared_data):
    with zipfile.ZipFile(shared_data / "maestro-v3.0.0-midi-train-validation.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".midi"))
        pieces = [read_midi(archive.read(name)).notes for name in names[::120]]
    for piece in pieces[:2]:
        assert encode(piece[:400]).tolist() == encode_slowly(piece[:400])
    everything = Notes(
        *(
            np.concatenate([getattr(piece, column) for piece in pieces])
            for column in ("onset_seconds", "duration_seconds", "pitch", "velocity")
        )
    )
    offsets = np.cumsum([0, *map(len, pieces)])
    stream, bounds = encode_pieces(everything, offsets)
    assert len(bounds) == len(pieces) + 1
    for row, piece in enumerate(pieces):
        part = stream[bounds[row] : bounds[row + 1]]
        assert part.tolist() == encode(piece).tolist()
        assert encode(decode(part)).tolist() == part.tolist()
        assert abs(len(decode(part)) - len(piece)) <= len(piece) * 0.01


def test_nothing_is_begin_and_end():
    assert encode(Notes.empty()).tolist() == [388, 389]
    assert len(decode([388, 389])) == len(decode([])) == 0
    stream, offsets = encode_pieces(Notes.empty(), np.array([0, 0, 0]))
    assert (stream.tolist(), offsets.tolist()) == ([388, 389, 388, 389], [0, 2, 4])
    assert encode_pieces(Notes.empty(), np.array([0]))[1].tolist() == [0]


@pytest.mark.parametrize("stream", [[390], [-1], [60, 1000]])
def test_events_outside_the_vocabulary_are_refused(stream):
    with pytest.raises(ValueError, match="allowed is 0 to 389"):
        decode(stream)
