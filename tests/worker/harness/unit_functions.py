"""Units that do what their payload says; each complete run leaves a line in the ledger named there."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from core.errors import MidiError
from worker.unit_context import UnitContext


def run(context: UnitContext) -> None:
    """Run one unit."""
    payload = context.payload
    _write(payload["started"], context)
    DEEDS[payload.get("do", "nothing")](context)
    with context.transaction():
        _write(payload["ledger"], context)


def _write(path: str, context: UnitContext) -> None:
    with Path(path).open("a") as stream:
        stream.write(f"{context.unit_id} {context.attempt} {os.getpid()}\n")


def _nothing(context: UnitContext) -> None:
    context.progress(done=1, total=1, unit="things")


def _wait(context: UnitContext) -> None:
    """Wait until the file `go` exists, listening."""
    while not Path(context.payload["go"]).exists():
        context.check()
        context.progress(done=time.monotonic() % 100, phase="waiting", live={"pid": os.getpid()})
        time.sleep(0.02)


def _be_deaf(context: UnitContext) -> None:
    """Wait until the file `go` exists, deaf to everything."""
    while not Path(context.payload["go"]).exists():
        time.sleep(0.05)


def _die(context: UnitContext) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _refuse(context: UnitContext) -> None:
    raise MidiError("bar.mid holds no notes.")


def _stumble(context: UnitContext) -> None:
    raise ZeroDivisionError("one over nothing")


def _overeat(context: UnitContext) -> None:
    raise MemoryError


def _store(context: UnitContext) -> None:
    """Take a while over one file in the store, listening; the file tells which attempt made it."""
    for step in range(10):
        context.check()
        context.progress(done=step, total=10, phase="storing")
        time.sleep(0.1)
    context.store.write(f"results/{context.unit_id}", f"{context.attempt}".encode())


DEEDS = {
    "store": _store,
    "nothing": _nothing,
    "wait": _wait,
    "be deaf": _be_deaf,
    "die": _die,
    "refuse": _refuse,
    "stumble": _stumble,
    "overeat": _overeat,
}
