"""Sending tickets from the web process: the light side of Celery, without any of the workers' code."""

from __future__ import annotations

import functools
import logging

import redis
from celery import Celery
from kombu.exceptions import KombuError

from core.models.jobs import Queue
from core.settings import Settings
from worker.names import SENDING_OPTIONS, TICKET_QUEUES, TICKET_TASK

_logger = logging.getLogger(__name__)


def send_tickets(settings: Settings, queue: str, count: int, job_id: int) -> bool:
    """Tell the workers of `queue` that units wait; whether the broker took the tickets. Takes less than a second.

    A broker that is away is no error: the maintenance process sends tickets for what waits once it is back.
    """
    app = _client(settings.resolved_broker_url)
    try:
        for _ in range(count):
            app.send_task(
                TICKET_TASK,
                kwargs={"queue": queue, "job_id": job_id},
                queue=TICKET_QUEUES[Queue(queue)],
                retry=False,
                ignore_result=True,
            )
    except (KombuError, redis.RedisError, OSError) as error:
        _logger.warning("no ticket could be sent for job %d: %s", job_id, error)
        return False
    return True


@functools.cache
def _client(broker_url: str) -> Celery:
    client = Celery("cadenza-web", broker=broker_url, set_as_current=False)
    client.conf.update(broker_transport_options=SENDING_OPTIONS, task_ignore_result=True)
    return client
