"""The Celery worker: transport, processes and monitoring. What runs, and in which order, is decided by rows."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.signals import setup_logging, worker_shutting_down
from kombu.connection import Connection
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from core.logs import configure_logging
from core.models.jobs import Queue
from core.models.workers import Worker, WorkerState
from core.records.database import Database, announce
from core.settings import Settings
from worker.child import NAME_VARIABLE, QUEUES_VARIABLE, stop_file
from worker.names import TICKET_QUEUES, TRANSPORT_OPTIONS

_LOADING_SECONDS = 600.0
_logger = logging.getLogger(__name__)


class _QuickConnection(Connection):
    """Tries again within seconds, however long the broker has been away; kombu's own pauses grow to 30 s."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        options = {"interval_start": 0.2, "interval_max": 2, **options}
        return super().ensure_connection(*args, **options)  # type: ignore[no-untyped-call]  # kombu's


class _QuickAMQP(AMQP):  # type: ignore[misc]  # Celery has no types
    Connection = _QuickConnection


def make_app(settings: Settings) -> Celery:
    """A Celery app for this installation's broker."""
    app = Celery("cadenza", amqp=_QuickAMQP, set_as_current=False)
    app.conf.update(
        broker_url=settings.resolved_broker_url,
        broker_transport_options=TRANSPORT_OPTIONS,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        imports=("worker.ticket_task",),
        task_ignore_result=True,
        task_acks_late=False,
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_enable_prefetch_count_reduction=False,
        worker_pool_start_method="spawn",
        worker_concurrency=1,
        worker_proc_alive_timeout=_LOADING_SECONDS,
        worker_redirect_stdouts=False,
        worker_send_task_events=True,
        task_send_sent_event=False,
    )
    return app


def serve(settings: Settings, name: str, queues: Sequence[Queue]) -> int:
    """Be a worker until a signal says otherwise; its exit status."""
    os.environ[NAME_VARIABLE] = name
    os.environ[QUEUES_VARIABLE] = ",".join(queues)
    stop = stop_file(settings, name)
    stop.parent.mkdir(parents=True, exist_ok=True)
    stop.unlink(missing_ok=True)
    setup_logging.connect(lambda **_: configure_logging(settings, f"worker {name}"), weak=False)
    worker_shutting_down.connect(lambda **_: stop.touch(), weak=False)
    worker = make_app(settings).Worker(
        hostname=f"{name}@cadenza",
        queues=[TICKET_QUEUES[queue] for queue in queues],
        pool="prefork",
        concurrency=1,
        loglevel=settings.log_level,
        without_gossip=True,
        without_mingle=True,
    )
    try:
        worker.start()
    finally:
        stop.unlink(missing_ok=True)
        _say_goodbye(settings, name)
    return int(worker.exitcode or 0)


def _say_goodbye(settings: Settings, name: str) -> None:
    """Show the worker as gone at once; without this the others would notice after a while."""
    database = Database.of(settings)
    try:
        with database.transaction() as session:
            session.execute(update(Worker).where(Worker.name == name).values(state=WorkerState.GONE, unit_id=None))
            announce(session, "workers")
    except DBAPIError as error:
        _logger.warning("the end of this worker could not be told: %s", error.orig)
