"""`python -m webui.launcher.supervise CONFIG`: supervisor, as a process that ends with the launcher."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

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

        supervisord.main(["-c", config, "-n"])


if __name__ == "__main__":
    main(sys.argv[1])
