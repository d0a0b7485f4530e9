"""Music, zips and a stubborn web server for the tests of datasets."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from core.music.notes import Notes
from core.music.writing import write_midi


@pytest.fixture(scope="session")
def make_midi() -> Callable[..., bytes]:
    """A MIDI file of `count` random notes that depend on `seed` alone."""

    def make(seed: int, count: int = 40) -> bytes:
        random = np.random.default_rng(seed)
        onset = np.cumsum(random.integers(0, 50, count)) / 100
        duration = random.integers(5, 80, count) / 100
        return write_midi(Notes.of(onset, duration, random.permutation(128)[:count], random.integers(1, 128, count)))

    return make


@pytest.fixture(scope="session")
def make_zip() -> Callable[[dict[str, bytes]], io.BytesIO]:
    """A zip of files by name."""

    def make(files: dict[str, bytes]) -> io.BytesIO:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        stream.seek(0)
        return stream

    return make


class StubbornServer:
    """A real HTTP server with one file, which it gives away as badly as it is told.

    `behaviours` are used up one a request, the last for ever: "good", "drop" (closes after half of what is left),
    "no-range" (ignores Range), "wrong-part", "wrong-bytes", "stall" (half, then silence), or a status as a number.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.behaviours: list[str | int] = ["good"]
        self.ranges: list[str | None] = []
        self.etag = f'"{hashlib.md5(content).hexdigest()}"'
        self.location = ""
        self.sends_length = True
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}/file.zip"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        request.close_connection = True
        if behaviour == "redirect":
            request.send_response(302)
            request.send_header("Location", self.location)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if isinstance(behaviour, int):
            request.send_response(behaviour)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        content = bytes(len(self.content)) if behaviour == "wrong-bytes" else self.content
        start = 0
        condition = request.headers.get("If-Range")
        if wanted and behaviour != "no-range" and condition in {None, self.etag}:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                request.send_response(416)
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
            start -= behaviour == "wrong-part"
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        if self.etag:
            request.send_header("ETag", self.etag)
        if self.sends_length:
            request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        half = start + (len(content) - start) // 2
        end = half if behaviour in {"drop", "stall"} else len(content)
        request.wfile.write(content[start:end])
        request.wfile.flush()
        if behaviour == "stall":
            self.released.wait(30)

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[StubbornServer]:
    """A stubborn server with 300,001 bytes."""
    running = StubbornServer(np.random.default_rng(3).bytes(300_001))
    yield running
    running.close()
