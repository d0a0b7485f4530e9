"""`python -m webui.launcher.part NAME`: becomes one part of the system.

Runs for every start of every part, so it loads next to nothing.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from core.processes import end_with_parent, take_lock


def main(name: str) -> None:
    """End with the supervisor, hold the part's lock, and become its program."""
    end_with_parent()
    run_dir = Path(os.environ["CADENZA_LAUNCHER_RUN"])
    if take_lock(run_dir / "parts" / f"{name}.lock") is None:
        sys.exit(f"the part {name} of this system runs already")
    os.chdir(os.environ["CADENZA_LAUNCHER_FOLDER"])  # where `up` was started: settings may hold relative paths
    command = json.loads((run_dir / "parts.json").read_text())[name]
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1])
