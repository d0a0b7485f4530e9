"""Clients that send slowly on purpose: they lose their connection, and nobody else waits for them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

import httpx
import pytest

pytestmark = pytest.mark.slow
_DRIPPING = 60


def test_slow_clients_lose_their_connection_and_delay_nobody(start_web: Callable) -> None:
    """The server waits two seconds for a head."""
    _, port = start_web(CADENZA_SLOW_REQUEST_SECONDS="2")
    heads = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
    bodies = b"POST /uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    bodies += b"Content-Length: 1000\r\n\r\n--x\r\n"
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(_DRIPPING)]
    for number, client in enumerate(slow):
        client.sendall(heads if number % 2 else bodies)
    open_still, answered = set(slow), []
    deadline = time.monotonic() + 120
    while open_still and time.monotonic() < deadline:
        began = time.monotonic()
        httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False, timeout=30).raise_for_status()
        answered.append(time.monotonic() - began)
        for client in list(open_still):
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                try:
                    client.send(b"a")
                    ended = client.recv(1) == b""
                except ConnectionError:
                    ended = True
                if ended:
                    open_still.discard(client)
        time.sleep(0.3)
    for client in slow:
        client.close()
    assert not open_still, f"{len(open_still)} of {_DRIPPING} still hold a thread"
    assert sorted(answered)[len(answered) // 2] < 2.0
