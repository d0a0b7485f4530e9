from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.datasets import reader
from core.datasets.reader import ReadingLimits, ReadPiece
from core.datasets.reading_pool import LONGEST_FILE_BYTES, ReadingPool
from core.datasets.sources import SourceFile
from core.datasets.statistics import HISTOGRAMS, count_notes
from core.encoding.performance import encode
from core.music.reading import read_midi

MakeMidi = Callable[..., bytes]


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack(">I", len(data)) + data


def midi_of(*tracks: bytes) -> bytes:
    head = chunk(b"MThd", struct.pack(">HHH", 1, len(tracks), 480))
    return head + b"".join(chunk(b"MTrk", track + b"\x00\xff\x2f\x00") for track in tracks)


def read_all(pool: ReadingPool, *files: bytes) -> list[ReadPiece | str]:
    return [piece for _file, piece in pool.read([SourceFile(f"{i}.mid", data) for i, data in enumerate(files)])]


def test_pieces_come_in_order_and_hold_what_the_reader_reads(make_midi: MakeMidi) -> None:
    files = [make_midi(seed, 5 + 9 * (seed % 13)) for seed in range(60)]
    with ReadingPool(2) as pool:
        pieces = read_all(pool, *files)
    for data, piece in zip(files, pieces, strict=True):
        assert isinstance(piece, ReadPiece)
        reading = read_midi(data)
        onset, duration, pitch, velocity = piece.columns
        assert np.array_equal(np.frombuffer(onset), reading.notes.onset_seconds)
        assert np.array_equal(np.frombuffer(duration), reading.notes.duration_seconds)
        assert pitch == reading.notes.pitch.tobytes()
        assert velocity == reading.notes.velocity.tobytes()
        assert piece.notes == len(reading.notes)
        assert piece.events == len(encode(reading.notes)) - 2
        assert piece.seconds == reading.notes.end_seconds
        assert {name: piece.counts[name].tolist() for name in HISTOGRAMS} == {
            name: counts.tolist() for name, counts in count_notes(reading.notes).items()
        }
    digests = {piece.digest for piece in pieces if isinstance(piece, ReadPiece)}
    assert len(digests) == len(files)


def test_every_case_of_other_parsers_is_read_or_refused_with_a_reason(shared_data: Path) -> None:
    paths = sorted(path for path in (shared_data / "midi-cases").rglob("*") if path.is_file())
    assert len(paths) >= 100
    with ReadingPool(2) as pool:
        pieces = read_all(pool, *(path.read_bytes() for path in paths))
    outcome = {path.name: piece for path, piece in zip(paths, pieces, strict=True)}
    assert all(piece.notes > 0 if isinstance(piece, ReadPiece) else len(piece) > 15 for piece in pieces)
    assert not any(isinstance(piece, str) and ("crash" in piece or "Error" in piece) for piece in pieces)
    assert sum(isinstance(piece, ReadPiece) for piece in pieces) >= 75
    for name, said in {
        "test-empty-file.mid": "empty",
        "test-not-a-midi-file.mid": "not a MIDI file",
        "test-all-gm-percussion.mid": "only drums",
        "test-corrupt-file-missing-byte.mid": "cut short",
        "MIDIBadTrackLength.mid": "16,777,275 bytes",
        "MIDIBadHeaderSMTPE.mid": "SMPTE",
        "test-empty.mid": "no notes",
    }.items():
        reason = outcome[name]
        assert isinstance(reason, str)
        assert said in reason


_NOTE = b"\x00\x90\x3c\x40\x81\x00\x3c\x00"
HOSTILE = {
    "a running status without end": midi_of(b"\x00\x90\x3c\x40" + b"\x01\x3c\x00\x00\x3c\x40" * 1_000_000),
    "notes that never end": midi_of(b"\x00\x90" + b"\x3c\x40\x00" * 2_000_000 + b"\x3c\x40"),
    "a million tempos": midi_of(b"\x01\xff\x51\x03\x07\xa1\x20" * 1_000_000, _NOTE),
    "tempo 0": midi_of(b"\x00\xff\x51\x03\x00\x00\x00" + _NOTE),
    "years of silence": midi_of(_NOTE + b"\xff\xff\xff\x7f\x90\x3c\x40\x10\x3c\x00" * 200),
    "60,000 tracks": midi_of(*[_NOTE] * 60_000),
    "a track of 4 GiB": chunk(b"MThd", struct.pack(">HHH", 1, 1, 480)) + b"MTrk\xff\xff\xff\xff" + _NOTE,
    "a million pedals": midi_of(_NOTE + b"\x01\xb0\x40\x7f\x01\xb0\x40\x00" * 500_000),
    "an instrument a note": midi_of(
        b"".join(bytes([0, 0xC0, i % 128, 0, 0x90, 60, 64, 1, 60, 0]) for i in range(300_000))
    ),
    "a sysex beyond the end": midi_of(b"\x00\xf0\xff\xff\xff\x7f"),
    "noise": midi_of(np.random.default_rng(1).bytes(3_000_000)),
}


def test_hostile_files_take_no_more_than_their_share(make_midi: MakeMidi) -> None:
    good = make_midi(1)
    began = os.times().children_user
    with ReadingPool(1) as pool:
        read_all(pool, good)
    start_seconds = os.times().children_user - began
    with ReadingPool(1, ReadingLimits(cpu_seconds=2.0, memory_bytes=500 * 10**6)) as pool:
        for name, data in HOSTILE.items():
            before = os.times()
            piece, after_it = read_all(pool, data, good)
            # By the CPU's clock, which a busy machine does not disturb; starts of new readers are included.
            spent = os.times().children_user - before.children_user
            assert spent <= 2.5 + 3 * start_seconds, name
            assert isinstance(piece, ReadPiece) or len(piece) > 10, name
            assert isinstance(after_it, ReadPiece), name


@pytest.fixture
def odd_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers whose MIDI parser does to itself what the file says: the pool is the thing under test, not the parser."""
    (tmp_path / "odd.py").write_text(
        "import os, signal, sys, time\n"
        "from core.datasets import reading_process\n"
        "real = reading_process.read_midi\n"
        "def read(data):\n"
        "    if data.startswith(b'crash'): os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    if data.startswith(b'exit'): os._exit(3)\n"
        "    if data.startswith(b'spin'):\n"
        "        while True: pass\n"
        "    if data.startswith(b'sleep'): time.sleep(600)\n"
        "    if data.startswith(b'hoard'): bytearray(900_000_000)\n"
        "    if data.startswith(b'raise'): raise KeyError('what')\n"
        "    if data.startswith(b'chatter'): sys.stdout.buffer.write(b'x' * 99); sys.stdout.flush(); os._exit(0)\n"
        "    return real(data)\n"
        "reading_process.read_midi = read\n"
        "reading_process.main()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(reader, "READER_MODULE", "odd")


@pytest.mark.usefixtures("odd_reader")
def test_a_file_that_ends_its_reader_is_refused_and_the_others_go_on(make_midi: MakeMidi) -> None:
    bad = [b"crash", b"exit", b"spin", b"sleep", b"hoard", b"raise", b"chatter"]
    good = [make_midi(seed) for seed in range(len(bad))]
    files = [data for pair in zip(good, bad, strict=True) for data in pair]
    began = time.monotonic()
    with ReadingPool(1) as pool:
        read_all(pool, good[0])
    # Time on the wall includes the start of a reader, which takes as long as this machine needs.
    wall_seconds = max(3.0, 8 * (time.monotonic() - began))
    with ReadingPool(2, ReadingLimits(cpu_seconds=0.3, wall_seconds=wall_seconds)) as pool:
        pieces = read_all(pool, *files)
    assert all(isinstance(piece, ReadPiece) for piece in pieces[::2])
    reasons = dict(zip(bad, pieces[1::2], strict=True))
    for data, said in {
        b"crash": "crashes the reader",
        b"exit": "crashes the reader",
        b"spin": "takes more than 0.3 s",
        b"sleep": "takes more than",
        b"hoard": "more than 500 MB",
        b"raise": "KeyError",
        b"chatter": "crashes the reader",
    }.items():
        reason = reasons[data]
        assert isinstance(reason, str)
        assert said in reason, data


class StopHereError(Exception):
    pass


@pytest.mark.usefixtures("odd_reader")
def test_reading_can_be_ended_while_a_file_hangs(make_midi: MakeMidi) -> None:
    began = time.monotonic()

    def tick() -> None:
        if time.monotonic() > began + 1.0:
            raise StopHereError

    with ReadingPool(2, ReadingLimits(wall_seconds=300)) as pool, pytest.raises(StopHereError):
        list(pool.read([SourceFile("a", make_midi(1)), SourceFile("b", b"sleep"), SourceFile("c", b"sleep")], tick))
    assert time.monotonic() - began < 60, "it waited for the files to be read"


def test_readers_end_when_their_owner_is_killed(tmp_path: Path) -> None:
    pool = ReadingPool(1)
    assert isinstance(read_all(pool, b"x")[0], str)
    process = pool.readers[0].process
    assert process is not None
    assert process.stdin is not None
    # What the kernel does for a killed owner: the pipe is closed, and nobody says a word.
    process.stdin.close()
    assert process.wait(60) == 0
    pool.close()


def test_a_killed_reader_is_replaced(make_midi: MakeMidi) -> None:
    with ReadingPool(1) as pool:
        assert isinstance(read_all(pool, make_midi(1))[0], ReadPiece)
        process = pool.readers[0].process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert isinstance(read_all(pool, make_midi(2))[0], ReadPiece)


def test_a_file_beyond_the_longest_is_not_even_sent() -> None:
    with ReadingPool(1) as pool:
        (reason,) = read_all(pool, bytes(LONGEST_FILE_BYTES + 1))
    assert reason == "It is longer than 64 MiB."
