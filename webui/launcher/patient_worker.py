"""gunicorn's threads, but neither a client that sends slowly nor a parent that dies keeps one for ever."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import Any, ClassVar

from gunicorn.workers.gthread import ThreadWorker

from core.processes import end_with_parent

# Slower than this nobody sends who wants an answer.
_SLOWEST_BYTES_PER_SECOND = 16 * 1024
_LOOK_SECONDS = 0.5
# As long as an orphan may finish its answers; less than the next server waits for the port.
_ORPHAN_SECONDS = 3.0


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker that stops reading from connections whose request does not arrive in time.

    The head of a request has `head_seconds`, its body as long again and a second for each 16 KiB. Only reading ends:
    an answer that is being sent, however long it takes, is not touched. And it ends when its parent has, at the latest
    after three seconds, whatever its threads still wait for.
    """

    head_seconds: ClassVar[float] = 20.0

    def init_process(self) -> None:
        """Start the one thread that watches all connections of this process."""
        self._deadlines: dict[Any, float] = {}
        threading.Thread(target=self._watch, name="slow-requests", daemon=True).start()
        super().init_process()

    def init_signals(self) -> None:
        """End with the parent, however that ends: an orphan would hold the port, and the next server need another."""
        super().init_signals()
        end_with_parent()

    def handle(self, conn: Any) -> Any:
        """Read and answer one request; its head must come in time."""
        self._deadlines[conn] = time.monotonic() + self.head_seconds
        try:
            return super().handle(conn)
        finally:
            self._deadlines.pop(conn, None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose head is here; its body must come in time."""
        said = next((text for name, text in req.headers if name == "CONTENT-LENGTH"), "0")
        # A body without a length has the time of the head alone; browsers and our client always say one.
        size_bytes = int(said) if said.isdigit() and len(said) < 16 else 0
        self._deadlines[conn] = time.monotonic() + self.head_seconds + size_bytes / _SLOWEST_BYTES_PER_SECOND
        return super().handle_request(req, conn)

    def _watch(self) -> None:
        orphaned_at = float("inf")
        while True:
            time.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            if os.getppid() != self.ppid:
                orphaned_at = min(orphaned_at, now)
            if now > orphaned_at + _ORPHAN_SECONDS:
                os._exit(1)  # whatever its threads wait for, such as a database that does not answer
            for conn, deadline in list(self._deadlines.items()):
                if now > deadline and self._deadlines.pop(conn, None) is not None:
                    with contextlib.suppress(OSError):
                        conn.sock.shutdown(socket.SHUT_RD)
