"""The process that reads MIDI files for `core.datasets.reading_pool`: it may crash, hang or run out of memory.

It answers one file at a time over its standard streams until its input ends. A request is 8 bytes of length and the
file. An answer is 4 bytes of length, a JSON header, and the columns whose lengths in bytes the header's "sizes" gives.
Both sides read plain numbers and text only, so that a reader that was taken over can say nothing but wrong notes.
"""

from __future__ import annotations

import hashlib
import json
import resource
import signal
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np

from core.datasets.statistics import HISTOGRAMS, count_notes
from core.encoding.performance import encode
from core.errors import MidiError
from core.music.notes import Notes
from core.music.reading import read_midi

HELLO = b"ready\n"


def main() -> None:
    """Serve until standard input ends; arguments: memory in bytes beyond the start, CPU seconds per file."""
    memory_bytes, cpu_seconds = int(sys.argv[1]), float(sys.argv[2])
    source, target = sys.stdin.buffer, sys.stdout.buffer
    encode(Notes.of([0.0], [1.0], [60], [64]))  # Whatever loads at first use belongs to the base, not to a file.
    _limit_memory(memory_bytes)
    target.write(HELLO)
    target.flush()
    while len(prefix := source.read(8)) == 8:
        data = source.read(int.from_bytes(prefix, "little"))
        # The kernel ends the process when the file has had its CPU time; waiting for a busy machine costs none.
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        header, columns = _answer(data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _send(target, header, columns)
        if header.get("exhausted"):
            return


def _answer(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    try:
        return _read(data)
    except MidiError as error:
        return {"reason": str(error)}, []
    except MemoryError:
        return {"exhausted": True}, []
    except Exception as error:  # noqa: BLE001  # whatever a file provokes must be said and must not end the others
        return {"reason": f"It cannot be read ({type(error).__name__}: {str(error)[:200]})."}, []


def _read(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    reading = read_midi(data)
    notes = reading.notes
    counts = count_notes(notes)
    columns = [
        np.ascontiguousarray(notes.onset_seconds, "<f8").tobytes(),
        np.ascontiguousarray(notes.duration_seconds, "<f8").tobytes(),
        notes.pitch.tobytes(),
        notes.velocity.tobytes(),
        np.concatenate([counts[name] for name in HISTOGRAMS]).astype("<i8").tobytes(),
    ]
    header = {
        "notes": len(notes),
        "events": len(encode(notes)) - 2,
        "seconds": notes.end_seconds,
        "digest": _digest(notes),
        "drums": reading.dropped_drum_notes,
        "instruments": [
            {"name": part.name, "program": part.program, "is_drum": part.is_drum, "notes": part.notes}
            for part in reading.instruments
        ],
        "sizes": [len(column) for column in columns],
    }
    return header, columns


def _digest(notes: Notes) -> str:
    """SHA-256 of the notes to the millisecond, so that the same music in another file is known again."""
    digest = hashlib.sha256()
    for seconds in (notes.onset_seconds, notes.duration_seconds):
        digest.update(np.rint(seconds * 1000).astype("<i8").tobytes())
    digest.update(notes.pitch.tobytes())
    digest.update(notes.velocity.tobytes())
    return digest.hexdigest()


def _send(target: IO[bytes], header: dict[str, Any], columns: list[bytes]) -> None:
    text = json.dumps(header).encode()
    target.write(len(text).to_bytes(4, "little"))
    target.write(text)
    for column in columns:
        target.write(column)
    target.flush()


def _limit_memory(more_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    status = Path("/proc/self/statm")
    if status.exists():  # Linux; elsewhere the time limit alone bounds a file.
        pages = int(status.read_text().split()[0])
        limit = pages * resource.getpagesize() + more_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
