"""Reading MIDI: note by note as pretty_midi reads it, or a refusal that says why."""

from __future__ import annotations

import io
import itertools
import struct
import subprocess
import sys
import time
import warnings
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import MidiError
from core.music.reading import read_midi

ON, OFF, PEDAL, PROGRAM, TEMPO = 0x90, 0x80, 0xB0, 0xC0, b"\xff\x51\x03"


def note_on(delta, pitch=60, velocity=64, channel=0):
    return delta, bytes((ON | channel, pitch, velocity))


def note_off(delta, pitch=60, channel=0):
    return delta, bytes((OFF | channel, pitch, 0))


def sustain(delta, value, channel=0):
    return delta, bytes((PEDAL | channel, 64, value))


def read_with_pretty_midi(data):
    """(onset, pitch, end, velocity) of the pitched notes, sorted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # tempo events outside track 0
        midi = pretty_midi.PrettyMIDI(io.BytesIO(data))
    pitched = (instrument for instrument in midi.instruments if not instrument.is_drum)
    return sorted((note.start, note.pitch, note.end, note.velocity) for part in pitched for note in part.notes)


def assert_equal_notes(notes, expected):
    """Same pitches and velocities, same times to the nanosecond, in any order within one instant and pitch."""
    ours = sorted((onset, pitch, onset + duration, velocity) for onset, duration, pitch, velocity in notes)
    assert len(ours) == len(expected)
    if ours:
        np.testing.assert_allclose(np.array(ours), np.array(expected, float), rtol=0, atol=1e-9)


def test_real_files_are_read_as_pretty_midi_reads_them(real_files):
    for data in real_files.values():
        reading = read_midi(data, fold_pedal=False)
        assert_equal_notes(reading.notes, read_with_pretty_midi(data))
        assert reading.dropped_drum_notes == 0
        assert reading.end_seconds == pytest.approx(reading.notes.end_seconds, abs=1e-9)
        keys = list(zip(reading.notes.onset_seconds, reading.notes.pitch, strict=True))
        assert keys == sorted(keys)


def test_the_pedal_of_real_files_is_folded_as_a_slow_loop_folds_it(real_files):
    maestro = sorted((data for name, data in real_files.items() if "maestro" in name), key=len)
    for data in maestro[:2]:
        midi = mido.MidiFile(file=io.BytesIO(data))
        seconds_of, expected = pretty_midi.PrettyMIDI(io.BytesIO(data)), []
        events = [(event.type, event) for track in midi.tracks for event in with_absolute_ticks(track)]
        pedal = [(e.time, e.value >= 64) for kind, e in events if kind == "control_change" and e.control == 64]
        keys = [e for kind, e in events if kind in {"note_on", "note_off"}]
        last = max(event.time for event in keys + [e for kind, e in events if kind == "control_change"])
        struck: dict[int, list[int]] = {}
        for event in keys:
            if event.type == "note_on" and event.velocity:
                struck.setdefault(event.note, []).append(event.time)
        sounding: dict[int, tuple[int, int]] = {}
        for event in keys:
            if event.type == "note_on" and event.velocity:
                sounding[event.note] = (event.time, event.velocity)
            elif event.note in sounding:
                onset, velocity = sounding.pop(event.note)
                end = event.time
                if end == onset:
                    continue
                if ([False] + [down for tick, down in pedal if tick <= end])[-1]:
                    release = next((tick for tick, down in pedal if tick > end and not down), last)
                    again = next((tick for tick in struck[event.note] if tick > onset), release)
                    end = max(end, min(release, again))
                expected.append((seconds_of.tick_to_time(onset), event.note, seconds_of.tick_to_time(end), velocity))
        assert_equal_notes(read_midi(data).notes, sorted(expected))


def with_absolute_ticks(track):
    tick = 0
    for message in track:
        tick += message.time
        yield message.copy(time=tick)


REFUSED = {
    "test-2-tracks-type-2.mid": "format 2",
    "MIDIOkFormat2.mid": "format 2",
    "MIDIBadHeaderChunk.mid": "not a MIDI file",
    "MIDIBadHeaderFormat.mid": "format 3",
    "MIDIBadHeaderLength.mid": "length of 22",
    "MIDIBadHeaderSMTPE.mid": "SMPTE",
    "MIDIBadTrackHdr.mid": "no track",
    "MIDIBadTrackLength.mid": "claims 16,777,275 bytes, but only 59 are left",
    "test-all-gm-percussion.mid": "only drums",
    "test-corrupt-file-missing-byte.mid": "cut short",
    "test-empty-file.mid": "empty",
    "test-empty.mid": "no notes",
    "test-not-a-midi-file.mid": "not a MIDI file",
    "test-silence-end-of-track.mid": "no notes",
    "test-illegal-message-f4.mid": "events cannot be read",
    "test-illegal-message-all.mid": "events cannot be read",
    "example_is_drum.mid": None,
}


def test_every_case_of_other_parsers_is_read_or_refused_with_its_reason(shared_data: Path):
    cases = sorted((shared_data / "midi-cases").rglob("*.mid"))
    assert len(cases) > 100
    reasons, compared = {}, 0
    for case in cases:
        data = case.read_bytes()
        try:
            reading = read_midi(data, fold_pedal=False)
        except MidiError as error:
            reasons[case.name] = str(error)
            continue
        try:
            expected = read_with_pretty_midi(data)
        except (EOFError, OSError, ValueError, IndexError):
            continue  # pretty_midi cannot read it; symusic can
        if case.name == "test04.mid":  # its tempo changes are outside the first track, where pretty_midi looks
            assert sorted(reading.notes.pitch) == sorted(pitch for _, pitch, _, _ in expected)
            continue
        assert_equal_notes(reading.notes, expected)
        compared += 1
    assert compared > 60
    for name, words in REFUSED.items():
        assert words is None or words in reasons[name], (name, reasons.get(name))
    for reason in reasons.values():
        assert reason[0].isupper()
        assert reason.endswith(".")


def test_refusals_name_what_is_wrong(build_midi):
    good = build_midi([note_on(0), note_off(480)])
    for data, words in (
        (b"", "empty"),
        (b"MThd\0\0", "cut short inside its header"),
        (b"RIFF" + good, "begins with 'RIFF'"),
        (good[:-5], "cut short"),
        (good[:14], "no track"),
        (build_midi([note_on(0), note_off(480)], division=0), "0 ticks"),
        (build_midi([note_on(0), note_off(480)], division=0xE728), "25 a second"),
        (build_midi([note_on(0), note_off(480)], length=7), "length of 7"),
        (build_midi([(0, TEMPO + b"\0\0\0"), note_on(0), note_off(480)]), "tempo is damaged"),
        (build_midi([note_on(0, channel=9), note_off(480, channel=9)]), "only drums: all 1 notes"),
        (build_midi([note_on(0)]), "no notes"),
        (build_midi([note_on(0), note_off(0)]), "no notes"),
        (build_midi([note_on(0, velocity=200), note_off(9)]), "damaged"),
        (build_midi([note_on(0), note_off(2**28 - 1)], division=1), "37,282.7 hours"),
        (build_midi([note_on(0), *[(2**28 - 1, b"\xff\x01\0")] * 9, note_on(9, 62), note_off(9, 62)]), "2^31"),
        (b"MThd" + struct.pack(">IHHH", 6, 1, 5000, 480) + (b"MTrk\0\0\0\4\0\xff\x2f\0" * 5000), "4,096 tracks"),
        (bytes(17 * 2**20), "at most 16,777,216"),
    ):
        with pytest.raises(MidiError, match=words.replace("^", r"\^")):
            read_midi(data)


def test_tracks_are_merged_named_and_drums_left_out(build_midi):
    data = build_midi(
        [(0, b"\xff\x03\x05Flute"), (0, bytes((PROGRAM, 73))), note_on(0, 72), note_off(480, 72)],
        [(0, bytes((PROGRAM | 1, 40))), note_on(240, 55, channel=1), note_off(480, 55, channel=1)],
        [note_on(0, 35, channel=9), note_off(1920, 35, channel=9)],
    )
    reading = read_midi(data)
    assert [(i.name, i.program, i.is_drum, i.notes) for i in reading.instruments] == [
        ("Flute", 73, False, 1), ("Violin", 40, False, 1), ("Drums", 0, True, 1),
    ]  # fmt: skip
    assert list(reading.notes) == [(0.0, 0.5, 72, 64), (0.25, 0.5, 55, 64)]
    assert (reading.dropped_drum_notes, reading.ticks_per_quarter, reading.end_seconds) == (1, 480, 2.0)


def test_names_are_one_plain_line(build_midi):
    name = b"Pi\0ano\n<b>" + b"x" * 200
    data = build_midi([(0, b"\xff\x03\x81\x52" + name), note_on(0), note_off(1)])
    text = read_midi(data).instruments[0].name
    assert text.startswith("Pi ano <b>x")
    assert len(text) == 80


def test_tempo_changes_of_every_track_count(build_midi):
    data = build_midi(
        [note_on(480), note_off(960)],
        [(960, TEMPO + (250_000).to_bytes(3, "big"))],
    )
    assert list(read_midi(data).notes) == [(0.5, 0.75, 60, 64)]


@given(
    deltas=st.lists(st.tuples(st.integers(1, 40), st.integers(60, 61), st.booleans()), max_size=30),
    tempos=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 2**24 - 1)), max_size=4),
)
@settings(max_examples=60)
def test_any_stream_of_keys_and_tempos_is_read_as_pretty_midi_reads_it(build_midi, deltas, tempos):
    events = [(note_on if on else note_off)(delta, pitch) for delta, pitch, on in deltas]
    events += [note_off(1, pitch) for pitch in (60, 61) for _ in deltas] or [note_off(1)]
    data = build_midi([(delta, TEMPO + tempo.to_bytes(3, "big")) for delta, tempo in tempos], events)
    expected = read_with_pretty_midi(data)
    if not expected:
        with pytest.raises(MidiError, match="no notes"):
            read_midi(data)
        return
    assert_equal_notes(read_midi(data).notes, expected)


def test_pedals_hold_only_the_notes_of_their_own_channel(build_midi):
    data = build_midi(
        [sustain(0, 64), note_on(0, 60), note_on(0, 72, channel=1), note_off(96, 60), note_off(0, 72, channel=1),
         sustain(384, 63), note_on(0, 62), note_off(96, 62)],
    )  # fmt: skip
    notes = read_midi(data).notes
    assert notes.pitch.tolist() == [60, 72, 62]
    assert notes.duration_seconds == pytest.approx([0.5, 0.1, 0.1])
    assert read_midi(data, fold_pedal=False).notes.duration_seconds == pytest.approx([0.1, 0.1, 0.1])


def hostile_files():
    size = 15_000_000

    def track(body):
        return b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk" + struct.pack(">I", len(body)) + body

    yield "notes", track(b"\0\x90\x3c\x40" + b"\1\x3c\0\0\x3c\x40" * (1_900_000))
    yield "too many notes", track(b"\0\x90\x3c\x40" + b"\1\x3c\0\0\x3c\x40" * (size // 6))
    yield "note-ons", track(b"\0\x90\x3c\x40" + b"\0\x3c\x40" * (size // 3) + b"\1\x3c\0")
    yield "pedals", track(b"\0\x90\x3c\x40\1\x3c\0\0\xb0\x40\x7f" + b"\1\x40\0\0\x40\x7f" * (size // 6))
    yield "tempos", track(b"\1\xff\x51\3\x10\0\0" * (size // 14) + b"\0\x90\x3c\x40\1\x3c\0")
    programs = itertools.product(range(16), range(128))
    body = b"".join(bytes((0, 0xC0 | c, p, 0, 0x90 | c, 60, 64, 1, 0x80 | c, 60, 0)) for c, p in programs)
    yield "programs", track(body * (size // len(body)))


HOSTILE_NAMES = [name for name, _ in hostile_files()]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_files_are_bounded_in_time_and_memory(name):
    """In a process of its own, whose peak memory is known; two seconds of its own CPU time, since others run beside."""
    code = (
        "import resource, sys, time\n"
        "from core.errors import MidiError\n"
        "from core.music.reading import read_midi\n"
        "data = sys.stdin.buffer.read()\n"
        "start = time.process_time()\n"
        "try:\n    read_midi(data)\n"
        "except MidiError as error:\n    assert str(error)\n"
        # Linux hands the parent's peak of getrusage on to a child; that of the status file is the child's own.
        "if sys.platform == 'linux':\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    peak = next(int(line.split()[1]) for line in lines if line.startswith('VmHWM')) * 1024\n"
        "else:\n    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(time.process_time() - start, peak)\n"
    )
    data = dict(hostile_files())[name]
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True, timeout=60)
    seconds, peak = map(float, done.stdout.split())
    assert seconds < 2, f"{seconds:.2f} s of CPU, {time.monotonic() - started:.2f} s in all"
    assert peak < 500e6


@given(st.data())
@settings(max_examples=150)
def test_damaged_files_are_read_or_refused_and_nothing_else(build_midi, data):
    good = bytearray(
        build_midi(
            [note_on(0), note_off(480), sustain(0, 127), (0, TEMPO + b"\7\xa1\x20"), note_on(5, 72), note_off(9, 72)]
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(good[: data.draw(st.integers(0, len(good)))]) if data.draw(st.booleans()) else bytes(good)
    try:
        notes = read_midi(damaged).notes
    except MidiError:
        return
    assert np.isfinite(notes.onset_seconds).all()
    assert (notes.duration_seconds > 0).all()
    assert notes.velocity.min() >= 1
    assert notes.pitch.max() <= 127
    assert (np.diff(notes.onset_seconds) >= 0).all()
