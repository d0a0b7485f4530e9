"""`python -m worker --queue light --name light`: one worker. `cadenza worker` starts this."""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys

from core.errors import CadenzaError
from core.models.jobs import Queue
from core.processes import take_lock
from core.records.database import Database
from core.records.revisions import wait_until_current
from core.settings import Settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, check that this worker can work, and serve; the exit status."""
    parser = argparse.ArgumentParser(prog="cadenza worker", description="Run units of one or several queues.")
    parser.add_argument("--queue", action="append", required=True, choices=[queue.value for queue in Queue])
    parser.add_argument("--name", default="", help="unique name; by default queue, host and process")
    options = parser.parse_args(arguments)
    settings = Settings()
    name = options.name or f"{'-'.join(options.queue)}-{socket.gethostname()}-{os.getpid()}"
    try:
        _check(settings, name, options.queue)
    except CadenzaError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    from worker.app import serve

    return serve(settings, name, [Queue(queue) for queue in dict.fromkeys(options.queue)])


def _check(settings: Settings, name: str, queues: list[str]) -> None:
    from worker.warm_up import check_can_serve

    if not _NAME.fullmatch(name):
        raise CadenzaError(f"The worker's name {name!r} may hold letters, digits, '.', '_' and '-' only (100 at most).")
    check_can_serve([Queue(queue) for queue in queues])
    database = Database.of(settings)
    wait_until_current(database, settings.wait_for_tables_seconds, lambda line: sys.stderr.write(f"{line}\n"))
    database.dispose()
    if take_lock(settings.run_dir / "names" / f"worker-{name}.lock") is None:
        raise CadenzaError(f"A worker named {name!r} runs on this machine already. Choose another --name.")


if __name__ == "__main__":
    sys.exit(main())
