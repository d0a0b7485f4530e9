"""A client of PostgreSQL that vanishes in the middle of a transaction holds up nobody for long."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from core.records.database import Database
from tests.tools.hosts import Host, Postgres, hosts_or_skip
from worker.retries import persist

# Takes the lock of decisions on another host, says so, and keeps it for as long as its input is open.
_HOLD = """
import sys
from core.records.database import Database
with Database(sys.argv[1]).exclusive():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def network() -> Iterator[list[Host]]:
    """Two hosts."""
    with hosts_or_skip(2) as made:
        yield made


def test_hosts_leave_the_network_of_this_machine_alone() -> None:
    links = [sys.executable, "-c", "import socket; print(socket.if_nameindex())"]
    before = subprocess.run(links, check=True, capture_output=True).stdout
    with hosts_or_skip(2) as made:
        assert subprocess.run(links, check=True, capture_output=True).stdout == before
        assert b"eth0" in subprocess.run(made[0].command(*links), check=True, capture_output=True).stdout


@pytest.mark.slow
def test_a_host_cut_off_in_its_transaction_gives_its_locks_back(network: list[Host]) -> None:
    main, far = network
    with Postgres(main.address, 5432, host=main) as server:
        url = f"postgresql://postgres@{main.address}/postgres"
        command = far.command(sys.executable, "-c", _HOLD, url)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "held\n"
            far.unplug()
            # Its operating system would notice after two hours.
            here = Database(f"{server.local_url}&options=-c%20lock_timeout%3D60s")
            with here.exclusive() as session:
                assert session.scalar(text("SELECT 7")) == 7
            here.dispose()
            client.kill()


def test_a_transaction_that_stands_still_is_ended_and_done_again(postgres_url: str) -> None:
    database = Database(postgres_url)
    tries = []

    def work() -> int:
        with database.transaction() as session:
            allowed = session.scalar(text("SHOW idle_in_transaction_session_timeout"))
            assert allowed == "1min"
            if not tries:
                tries.append(allowed)
                session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 50"))
                stands_still(session.scalar(text("SELECT pg_backend_pid()")))
            return int(session.scalar(text("SELECT 7")))

    def stands_still(backend: int) -> None:
        with database.reading() as other:
            there = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
            deadline = time.monotonic() + 60
            while other.scalar(there, {"pid": backend}):
                assert time.monotonic() < deadline
                other.rollback()  # these figures stay as they are within a transaction

    assert persist(work) == 7
    assert tries == ["1min"]
    database.dispose()
