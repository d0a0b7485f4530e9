"""`python -m webui.launcher.supervise CONFIG`: supervisor, as a process that ends with the launcher."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from core.processes import end_with_parent, take_lock


def main(config: str) -> None:
    """Supervise until SIGTERM, from the data folder, which the configuration's paths are relative to."""
    end_with_parent()
    run_dir = Path(os.environ["CADENZA_LAUNCHER_RUN"])
    if take_lock(run_dir / "parts" / "supervisor.lock") is None:
        sys.exit("this system is supervised already")
    os.chdir(run_dir.parent)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns a root user about itself on every start
        from supervisor import supervisord

        survive_a_full_disk()
        start_at_once()
        supervisord.main(["-c", config, "-n"])


def survive_a_full_disk() -> None:
    """Let supervisor's logs lose lines while the disk is full; by itself it would end then, and all parts with it."""
    from supervisor import loggers

    emit = loggers.RotatingFileHandler.emit

    def emit_if_possible(handler: Any, record: Any) -> None:
        try:
            emit(handler, record)
        except (OSError, ValueError):
            # A rollover that fails half way leaves the log closed.
            with contextlib.suppress(OSError):
                handler.stream = Path(handler.baseFilename).open("ab")  # noqa: SIM115  # supervisor closes it

    loggers.RotatingFileHandler.emit = emit_if_possible
    # It would tell of the failure on a stream that most often lies on the same disk.
    loggers.Handler.handleError = lambda _handler: None


def start_at_once() -> None:
    """Let supervisor start its programs right away; by itself it would wait for up to a second before it looks."""
    from supervisor import poller

    wait = poller.Poller.poll

    def look(waiting: Any, _timeout: float) -> Any:
        poller.Poller.poll = wait
        return wait(waiting, 0)

    poller.Poller.poll = look


if __name__ == "__main__":
    main(sys.argv[1])
