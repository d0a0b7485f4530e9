"""Reads MIDI files in processes of their own, so that no file can take more than its share or end the import."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.datasets.reading_process import HELLO
from core.datasets.statistics import HISTOGRAMS
from core.errors import CadenzaError

LONGEST_FILE_BYTES = 64 * 2**20
READER_MODULE = "core.datasets.reading_process"
_START_SECONDS = 120.0
_TICK_SECONDS = 0.2
_AHEAD_FILES = 16
_AHEAD_BYTES = 32 * 2**20


class _HasData(Protocol):
    @property
    def data(self) -> bytes: ...

    @property
    def reason(self) -> str: ...


F = TypeVar("F", bound=_HasData)


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


class ReadingPool:
    """A few reader processes; use it in a `with` block, which ends them."""

    def __init__(self, processes: int = 2, limits: ReadingLimits | None = None) -> None:
        self._limits = limits or ReadingLimits()
        self._free: queue.SimpleQueue[_Reader] = queue.SimpleQueue()
        self.readers = [_Reader(self._limits) for _ in range(processes)]
        for reader in self.readers:
            self._free.put(reader)
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="reading")

    def __enter__(self) -> ReadingPool:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the readers, whatever they are doing."""
        # Ended readers let the waiting threads go, and the threads start no new ones.
        self._threads.shutdown(wait=False, cancel_futures=True)
        for reader in self.readers:
            reader.close()
        self._threads.shutdown(wait=True)

    def read(self, files: Iterable[F], tick: Callable[[], None] = lambda: None) -> Iterator[tuple[F, ReadPiece | str]]:
        """Each file with what it holds, or with the reason why it cannot be used; in the order of `files`.

        Args:
            files: taken as they are needed; one that brings a reason already is passed on with it.
            tick: called at least every 0.2 s while waiting; what it raises ends the reading.

        Raises:
            CadenzaError: no reader process can be started on this machine.
        """
        waiting: deque[tuple[F, Future[ReadPiece | str]]] = deque()
        ahead_bytes = 0
        for file in files:
            waiting.append((file, self._submit(file)))
            ahead_bytes += len(file.data)
            while len(waiting) > _AHEAD_FILES or ahead_bytes > _AHEAD_BYTES:
                done, future = waiting.popleft()
                ahead_bytes -= len(done.data)
                yield done, _wait(future, tick)
        while waiting:
            done, future = waiting.popleft()
            yield done, _wait(future, tick)

    def _submit(self, file: F) -> Future[ReadPiece | str]:
        reason = file.reason
        if not reason and len(file.data) > LONGEST_FILE_BYTES:
            reason = f"It is longer than {LONGEST_FILE_BYTES // 2**20} MiB."
        if reason:
            known: Future[ReadPiece | str] = Future()
            known.set_result(reason)
            return known
        return self._threads.submit(self._read_one, file.data)

    def _read_one(self, data: bytes) -> ReadPiece | str:
        reader = self._free.get()
        try:
            return reader.read(data)
        finally:
            self._free.put(reader)


class _Reader:
    """One reader process, replaced by a new one when it has ended."""

    def __init__(self, limits: ReadingLimits) -> None:
        self._limits = limits
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def read(self, data: bytes) -> ReadPiece | str:
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


def _wait(future: Future[ReadPiece | str], tick: Callable[[], None]) -> ReadPiece | str:
    while True:
        tick()
        try:
            return future.result(timeout=_TICK_SECONDS)
        except TimeoutError:
            continue


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
