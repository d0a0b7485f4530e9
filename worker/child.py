"""The process that runs units: a child of the Celery worker, one at a time."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import structlog

from core.artifacts import ArtifactStore
from core.errors import CadenzaError
from core.loading import loading
from core.models.jobs import Queue
from core.models.workers import WorkerState
from core.queue.recovery import free_units_of
from core.records.database import Database
from core.settings import Settings
from worker.presence import Presence
from worker.pulse import Pulse
from worker.reporting import Reporter
from worker.retries import persist
from worker.runner import Runner
from worker.warm_up import warm_up

# How the parent hands its command line to the children that it spawns.
NAME_VARIABLE = "CADENZA_WORKER_NAME"
QUEUES_VARIABLE = "CADENZA_WORKER_QUEUES"
# Until what is missing is looked for again.
_REFUSAL_SECONDS = 30.0
_logger = logging.getLogger(__name__)


def stop_file(settings: Settings, name: str) -> Path:
    """A file whose presence tells the child of worker `name` to stop; works when database and broker are away."""
    return settings.run_dir / f"worker-{name}.stop"


def _refuse(database: Database, presence: Presence, pulse: Pulse, problem: str) -> None:
    """Show why this worker serves nothing, and go on beating for a while; the next process may find it mended."""

    def tell() -> None:
        with database.transaction() as session:
            presence.tell_problem(session, problem)

    persist(tell, give_up=pulse.stopping.is_set)
    pulse.stopping.wait(_REFUSAL_SECONDS)


def start_child() -> Runner:
    """Register, take back what an earlier process of this name held, load everything, then show as ready.

    Raises:
        CadenzaError: what the units need cannot be loaded; others see why for a while before.
    """
    settings = Settings()
    name = os.environ[NAME_VARIABLE]
    structlog.contextvars.bind_contextvars(worker=name)
    queues = tuple(Queue(queue) for queue in os.environ[QUEUES_VARIABLE].split(","))
    database = Database.of(settings)
    presence = Presence(name, queues)
    pulse = Pulse(database, settings, presence, stop_file(settings, name))

    def register() -> list[int]:
        with database.transaction() as session:
            presence.register(session)
            return free_units_of(session, name, settings.attempts_limit)

    freed = persist(register)
    if freed:
        _logger.warning("units %s of an earlier process went back to the queue", freed)
    pulse.start()
    try:
        with loading():
            device = warm_up(queues)
    except CadenzaError as error:
        _refuse(database, presence, pulse, str(error))
        raise

    def show_ready() -> None:
        with database.transaction() as session:
            presence.show(session, WorkerState.READY, device=device)
            presence.tell_problem(session, "")

    persist(show_ready)
    pulse.loaded.set()
    reporter = Reporter(database, presence)
    reporter.start()
    _logger.info("ready on %s", device)
    return Runner(
        database, ArtifactStore.of(settings), settings, presence, pulse, tallies=reporter.tallies, device=device
    )
