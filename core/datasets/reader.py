"""One reader process as its owner sees it: sends a file, waits in bounds, and starts another when it has ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from core.datasets.reading_process import HELLO
from core.datasets.statistics import HISTOGRAMS
from core.errors import CadenzaError

READER_MODULE = "core.datasets.reading_process"
_START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class ReadPiece:
    """What a file holds, its columns as the corpus stores them.

    Attributes:
        columns: little-endian bytes of onset and duration (float64 seconds), pitch and velocity (uint8), by note.
        counts: the histograms of `core.datasets.statistics`.
        events: of the performance encoding, begin and end not counted.
        digest: of the notes to the millisecond, hexadecimal.
        instruments: "name", "program", "is_drum" and "notes" of each.
    """

    columns: tuple[bytes, bytes, bytes, bytes]
    counts: dict[str, NDArray[np.int64]]
    notes: int
    events: int
    seconds: float
    digest: str
    drums: int
    instruments: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """What one file may take: CPU time, time by the clock (for one that waits for ever), and memory."""

    cpu_seconds: float = 2.0
    wall_seconds: float = 20.0
    memory_bytes: int = 500 * 10**6


class Reader:
    """One reader process, replaced by a new one when it has ended."""

    def __init__(self, limits: ReadingLimits) -> None:
        self._limits = limits
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def read(self, data: bytes) -> ReadPiece | str:
        """What the file holds, or the reason why it cannot be used.

        Raises:
            CadenzaError: no reader process can be started on this machine.
        """
        process = self._running()
        overdue = threading.Event()

        def end() -> None:
            overdue.set()
            process.kill()

        timer = threading.Timer(self._limits.wall_seconds, end)
        timer.daemon = True
        timer.start()
        try:
            answer = _exchange(process, data)
        finally:
            timer.cancel()
        exhausted = answer == "exhausted"
        if answer is None or exhausted or overdue.is_set():
            self._discard()
        if isinstance(answer, ReadPiece):
            return answer
        if exhausted:
            return f"Reading it needs more than {self._limits.memory_bytes / 1e6:g} MB of memory."
        if answer is not None:
            return answer
        if overdue.is_set() or process.returncode == -signal.SIGPROF:
            return f"Reading it takes more than {self._limits.cpu_seconds:g} s."
        return f"Reading it crashes the reader (exit {process.returncode}); the file is damaged."

    def close(self) -> None:
        """End the process, whatever it is doing, and start no other."""
        with self._lock:
            self._closed = True
        self._discard()

    def _running(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise CadenzaError("The reading of files was ended.")
            if self.process is not None and self.process.poll() is not None:
                _end(self.process)
                self.process = None
            if self.process is None:
                self.process = _start(self._limits)
            return self.process

    def _discard(self) -> None:
        with self._lock:
            process, self.process = self.process, None
        if process is not None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _start(limits: ReadingLimits) -> subprocess.Popen[bytes]:
    # -P: a file named numpy.py in the folder where the worker was started must not be imported.
    command = [sys.executable, "-P", "-m", READER_MODULE]
    process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [*command, str(limits.memory_bytes), str(limits.cpu_seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        start_new_session=True,
    )
    timer = threading.Timer(_START_SECONDS, process.kill)
    timer.daemon = True
    timer.start()
    assert process.stdout is not None
    hello = _read_exactly(process.stdout, len(HELLO))
    timer.cancel()
    if hello != HELLO:
        process.kill()
        process.communicate()
        raise CadenzaError(
            "The reader of MIDI files does not start on this machine; see the worker's log for the cause."
        )
    return process


def _exchange(process: subprocess.Popen[bytes], data: bytes) -> ReadPiece | str | None:
    """Send a file, receive the answer; None when the process ended instead."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _write_all(process.stdin, len(data).to_bytes(8, "little"))
        _write_all(process.stdin, data)
        prefix = _read_exactly(process.stdout, 4)
        header = json.loads(_read_exactly(process.stdout, int.from_bytes(prefix, "little")))
        if "sizes" not in header:
            return "exhausted" if header.get("exhausted") else str(header["reason"])
        onset, duration, pitch, velocity, counts = (
            _read_exactly(process.stdout, int(size)) for size in header["sizes"]
        )
    except (OSError, EOFError, ValueError):
        process.wait()
        return None
    bounds = np.cumsum(list(HISTOGRAMS.values()))[:-1]
    parts = np.split(np.frombuffer(counts, "<i8").astype(np.int64), bounds)
    return ReadPiece(
        columns=(onset, duration, pitch, velocity),
        counts=dict(zip(HISTOGRAMS, parts, strict=True)),
        notes=int(header["notes"]),
        events=int(header["events"]),
        seconds=float(header["seconds"]),
        digest=str(header["digest"]),
        drums=int(header["drums"]),
        instruments=list(header["instruments"]),
    )


def _write_all(stream: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def _read_exactly(stream: IO[bytes], count: int) -> bytes:
    blocks = bytearray()
    while len(blocks) < count:
        block = stream.read(count - len(blocks))
        if not block:
            raise EOFError
        blocks += block
    return bytes(blocks)
