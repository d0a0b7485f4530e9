"""`python -m webui.launcher.part NAME`: becomes one part of the system.

Runs for every start of every part, so it loads next to nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path

from core.processes import end_with_parent, take_lock
from webui.launcher.signs import wait_until_prepared

# A page that is there within this many seconds is waited for, so that what loads for long does not make it later.
_PAGE_SECONDS = 5.0
_POLL_SECONDS = 0.05
# The broker needs no tables, and the web server waits for them itself, once it has loaded.
_FIRST = ("valkey", "web")


def main(name: str) -> None:
    """End with the supervisor, hold the part's lock, and become its program."""
    end_with_parent()
    run_dir = Path(os.environ["CADENZA_LAUNCHER_RUN"])
    if take_lock(run_dir / "parts" / f"{name}.lock") is None:
        sys.exit(f"the part {name} of this system runs already")
    os.chdir(os.environ["CADENZA_LAUNCHER_FOLDER"])  # where `up` was started: settings may hold relative paths
    commands = json.loads((run_dir / "parts.json").read_text())
    if name not in _FIRST:
        wait_until_prepared()
        if "web" in commands:
            _wait_for_page(run_dir / "address")
    os.execv(commands[name][0], commands[name])


def _wait_for_page(address: Path) -> None:
    """Return once the web server has told its address after the system's start, at once if it did so before."""
    began, deadline = float(os.environ["CADENZA_LAUNCHER_BEGAN"]), time.monotonic() + _PAGE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if address.stat().st_mtime >= began:
                return
        time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1])
