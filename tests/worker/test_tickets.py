"""Tickets: sent by the web process and by maintenance, and a broker that is away or frozen costs less than a second."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.models.jobs import Queue
from core.models.workers import Worker, WorkerState
from core.settings import Settings
from webui.tickets import send_tickets
from worker.maintenance import Maintenance
from worker.tickets import Tickets


@pytest.fixture
def with_broker(settings: Settings, valkey_url: str) -> Settings:
    return settings.model_copy(update={"broker_url": valkey_url})


def test_both_sides_send_what_the_other_counts(with_broker: Settings):
    tickets = Tickets(with_broker)
    assert tickets.untaken(Queue.LIGHT) == 0
    assert send_tickets(with_broker, "light", 2, 7)
    assert tickets.send(Queue.LIGHT, 1)
    assert tickets.untaken(Queue.LIGHT) == 3
    assert tickets.untaken(Queue.TRAINING) == 0


def test_a_broker_that_is_away_is_no_error(settings: Settings):
    send_tickets(settings, "light", 1, 7)  # loads what it needs
    began = time.monotonic()
    assert not send_tickets(settings, "light", 8, 7)
    assert not Tickets(settings).send(Queue.LIGHT, 8)
    assert Tickets(settings).untaken(Queue.LIGHT) is None
    assert time.monotonic() - began < 2


def test_a_frozen_broker_costs_less_than_a_second(settings: Settings, start_valkey, tmp_path: Path):
    server = start_valkey(tmp_path)
    frozen = settings.model_copy(update={"broker_url": f"redis+socket://{tmp_path / 'valkey.sock'}"})
    assert send_tickets(frozen, "light", 1, 7)
    server.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert not send_tickets(frozen, "light", 8, 7)
        assert time.monotonic() - began < 2
    finally:
        server.send_signal(signal.SIGCONT)
    assert send_tickets(frozen, "light", 1, 7)


def test_maintenance_sends_tickets_where_units_wait_without_one(quick, database, submit):
    maintenance, tickets = Maintenance(quick), Tickets(quick)
    for _ in range(3):
        submit(ticket=False)
    maintenance.look()
    assert tickets.untaken(Queue.LIGHT) == 0  # nobody would take it
    with database.transaction() as session:
        for name in ("v", "w"):
            session.add(Worker(name=name, host="h", pid=1, queues=["light"], state=WorkerState.READY))
    for _ in range(3):
        maintenance.look()
    maintenance.close()
    assert tickets.untaken(Queue.LIGHT) == 2  # one for each idle worker, and not again while they are there


def test_the_web_side_loads_nothing_of_the_workers():
    code = "import sys, webui.tickets; print([n for n in sys.modules if n.startswith('worker')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "['worker', 'worker.names']"
