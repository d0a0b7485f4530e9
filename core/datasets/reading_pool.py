"""Reads MIDI files in processes of their own, so that no file can take more than its share or end the import."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from core.datasets.reader import Reader, ReadingLimits, ReadPiece

LONGEST_FILE_BYTES = 64 * 2**20
_TICK_SECONDS = 0.2
_AHEAD_FILES = 16
_AHEAD_BYTES = 32 * 2**20


class _HasData(Protocol):
    @property
    def data(self) -> bytes: ...

    @property
    def reason(self) -> str: ...


F = TypeVar("F", bound=_HasData)


class ReadingPool:
    """A few reader processes; use it in a `with` block, which ends them."""

    def __init__(self, processes: int = 2, limits: ReadingLimits | None = None) -> None:
        self._limits = limits or ReadingLimits()
        self._free: queue.SimpleQueue[Reader] = queue.SimpleQueue()
        self.readers = [Reader(self._limits) for _ in range(processes)]
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


def _wait(future: Future[ReadPiece | str], tick: Callable[[], None]) -> ReadPiece | str:
    while True:
        tick()
        try:
            return future.result(timeout=_TICK_SECONDS)
        except TimeoutError:
            continue
