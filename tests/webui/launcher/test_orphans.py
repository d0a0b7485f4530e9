"""A web server that is killed leaves nothing that holds its port, whatever its threads wait for."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
from collections.abc import Callable

import psutil
import pytest

from core.settings import Settings

pytestmark = pytest.mark.slow
_HEAD = "POST /api/v1/queues/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"


def test_a_killed_server_comes_back_at_its_port(start_web: Callable, settings: Settings) -> None:
    """A thread of its child waits half a minute for the database, and would keep the child alive as long."""
    server, port = start_web()
    (child,) = psutil.Process(server.pid).children()
    with contextlib.closing(sqlite3.connect(settings.data_dir / "cadenza.sqlite")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(f"{_HEAD}Content-Type: application/json\r\n\r\n{{}}".encode())
        client.settimeout(2)
        with contextlib.suppress(TimeoutError):
            assert client.recv(1000) == b"", "it did not wait for the database"
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        _, alive = psutil.wait_procs([child], timeout=18)
        assert not alive
        writer.rollback()
    client.close()
    assert start_web()[1] == port
