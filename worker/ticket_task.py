"""What a ticket does in the child process of a Celery worker; the parent imports this for the name alone."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from celery import shared_task
from celery.signals import setup_logging, worker_process_init

from core.errors import CadenzaError
from core.logs import configure_logging
from core.settings import Settings
from worker.child import NAME_VARIABLE, start_child
from worker.names import TICKET_TASK
from worker.runner import Runner

_RESTART_PAUSE_SECONDS = 2.0
_logger = logging.getLogger(__name__)
_child: list[Runner] = []


def _start(**_: Any) -> None:
    try:
        _child.append(start_child())
    except CadenzaError as error:
        _logger.error("this worker serves nothing: %s", error)
        os._exit(1)
    except BaseException:
        # Celery would go on with a child that can do nothing; a fresh one may do better (or say the same again).
        _logger.exception("this process cannot start")
        time.sleep(_RESTART_PAUSE_SECONDS)
        os._exit(1)


def _log(**_: Any) -> None:
    configure_logging(Settings(), f"worker {os.environ.get(NAME_VARIABLE, '')}")


def _ticket(queue: str = "", job_id: int = 0) -> int:
    """Run what waits; the arguments are for people who watch. Returns how many units were run."""
    _logger.debug("a ticket for the queue %s, sent for job %d", queue, job_id)
    return _child[0].serve()


# Celery's own logging stays off as soon as somebody listens here.
setup_logging.connect(_log, weak=False)
worker_process_init.connect(_start, weak=False)
shared_task(name=TICKET_TASK, ignore_result=True)(_ticket)
