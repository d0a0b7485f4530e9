"""Whether a web server answers, whatever is at its address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from webui.launcher.looking import answers


@contextmanager
def who_says(words: bytes) -> Iterator[str]:
    """The address of a server that says this to the first one who asks, and goes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(words)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", False),
        (b"+PONG\r\n", False),
        (b"", False),
    ],
)
def test_only_a_web_server_that_works_answers(words: bytes, expected: bool) -> None:
    with who_says(words) as address:
        assert answers(address) is expected


def test_where_there_is_none_nothing_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert not answers(f"http://127.0.0.1:{free}")
    assert not answers("")
