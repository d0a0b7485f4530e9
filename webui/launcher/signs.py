"""Files by which the parts of a system tell each other how far it is. Runs for every start of a part: loads nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.settings import Settings

_POLL_SECONDS = 0.02


def address_file(settings: Settings) -> Path:
    """The file that holds the address of the running web server."""
    return settings.run_dir / "address"


def prepared_file(run_dir: Path) -> Path:
    """The file that is there once the launcher has prepared the tables."""
    return run_dir / "prepared"


def wait_until_prepared() -> None:
    """Return once the tables are prepared; at once in a part that no launcher has started.

    However long it takes: a part ends with its launcher.
    """
    run_dir = os.environ.get("CADENZA_LAUNCHER_RUN")
    while run_dir and not prepared_file(Path(run_dir)).exists():
        time.sleep(_POLL_SECONDS)
