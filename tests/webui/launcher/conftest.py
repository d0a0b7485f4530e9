"""A web server on its own, as a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from core.records import schema
from core.records.database import Database
from core.settings import Settings
from webui.launcher.signs import address_file

WebServer = tuple[subprocess.Popen[bytes], int]


@pytest.fixture
def start_web(settings: Settings) -> Iterator[Callable[..., WebServer]]:
    """Starts a web server with more settings, and gives its process and its port once it answers."""
    database = Database.of(settings)
    schema.upgrade(database)
    database.dispose()
    started: list[subprocess.Popen[bytes]] = []

    def start(**more: str) -> WebServer:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("CADENZA_")}
        environment |= {"CADENZA_DATA_DIR": str(settings.data_dir), "CADENZA_PORT": "0", **more}
        server = subprocess.Popen(
            [sys.executable, "-m", "webui.launcher.web"], env=environment, stderr=subprocess.DEVNULL
        )
        started.append(server)
        deadline = time.monotonic() + 120
        while True:
            assert server.poll() is None, "the web server ended"
            assert time.monotonic() < deadline, "the web server did not start"
            if address_file(settings).exists():
                address = address_file(settings).read_text()
                try:
                    httpx.get(f"{address}/", trust_env=False, timeout=60).raise_for_status()
                except httpx.TransportError:  # the address of a server before
                    pass
                else:
                    return server, int(address.rpartition(":")[2])
            time.sleep(0.05)

    yield start
    for server in started:
        server.terminate()
        server.wait()
