"""`python -m worker --queue light --name light`: one worker. `cadenza worker` starts this."""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys

from sqlalchemy import update

from core.errors import CadenzaError
from core.loading import loading
from core.models.jobs import Queue
from core.models.workers import Worker
from core.processes import end_with_parent, take_lock
from core.queue.starting import begin
from core.records.database import Database
from core.records.revisions import wait_until_current
from core.settings import Settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def this_program() -> list[str]:
    """The words that start a worker of this installation."""
    return [sys.executable, "-m", "worker"]


def main(arguments: list[str] | None = None, program: list[str] | None = None) -> int:
    """Parse the command line, check that this worker can work, and serve; the exit status.

    Args:
        arguments: the words after the program's name; those of this process by default.
        program: what starts a worker for each GPU, `this_program()` by default.
    """
    parser = argparse.ArgumentParser(prog="cadenza worker", description="Run units of one or several queues.")
    parser.add_argument("--queue", action="append", required=True, choices=[queue.value for queue in Queue])
    parser.add_argument("--name", default="", help="unique name; by default queue, host and process")
    parser.add_argument("--gpus", default="", help="one worker for each GPU: auto, or numbers such as 0,2")
    parser.add_argument(
        "--together", action="store_true", help="with --gpus: one worker for all, to train on all at once"
    )
    parser.add_argument("--gpu", default="", help=argparse.SUPPRESS)
    parser.add_argument("--with-parent", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.with_parent:
        end_with_parent()
    if options.gpu:
        # Before anything loads CUDA; the child process that computes inherits it.
        os.environ["CUDA_VISIBLE_DEVICES"] = options.gpu
    settings = Settings()
    name = options.name or _usual_name(options)
    queues = [Queue(queue) for queue in dict.fromkeys(options.queue)]
    try:
        if options.gpus:
            from worker.gpus import chosen_gpus, serve_on_gpus, together

            gpus = chosen_gpus(options.gpus)
            gpus = together(gpus, queues) if options.together else gpus
            return serve_on_gpus(settings, name, queues, gpus, program or this_program())
        _check(settings, name, options)
    except CadenzaError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with loading():
        from worker.app import serve

    return serve(settings, name, queues)


def _usual_name(options: argparse.Namespace) -> str:
    """Queue and host; the process too, unless one parent starts them all and their GPUs tell them apart."""
    base = f"{'-'.join(options.queue)}-{socket.gethostname()}"
    return base if options.gpus else f"{base}-{os.getpid()}"


def _check(settings: Settings, name: str, options: argparse.Namespace) -> None:
    from worker.warm_up import check_can_serve

    if options.together:
        raise CadenzaError("--together needs --gpus: auto for all GPUs of this machine, or numbers such as 0,2.")
    if not _NAME.fullmatch(name):
        raise CadenzaError(f"The worker's name {name!r} may hold letters, digits, '.', '_' and '-' only (100 at most).")
    check_can_serve([Queue(queue) for queue in options.queue])
    database = Database.of(settings)
    wait_until_current(database, settings.wait_for_tables_seconds, lambda line: sys.stderr.write(f"{line}\n"))
    if take_lock(settings.run_dir / "names" / f"worker-{name}.lock") is None:
        raise CadenzaError(f"A worker named {name!r} runs on this machine already. Choose another --name.")
    with database.transaction() as session:
        # What kept an earlier process of this name from serving may be mended by now.
        session.execute(update(Worker).where(Worker.name == name).values(problem=""))
    if paused := begin(database):
        sys.stderr.write(f"The system starts with paused queues, as chosen: {', '.join(paused)}.\n")
    database.dispose()


if __name__ == "__main__":
    sys.exit(main())
