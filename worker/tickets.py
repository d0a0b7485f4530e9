"""Sending tickets from the workers' side."""

from __future__ import annotations

import logging

import redis
from celery import Celery
from kombu.exceptions import KombuError

from core.changes import redis_client
from core.models.jobs import Queue
from core.settings import Settings
from worker.app import make_app
from worker.names import SENDING_OPTIONS, TICKET_QUEUES, TICKET_TASK

_logger = logging.getLogger(__name__)


class Tickets:
    """Sends tickets and counts those that nobody has taken. A broker that is away is no error."""

    def __init__(self, settings: Settings) -> None:
        self._broker_url = settings.resolved_broker_url
        self._app: Celery = make_app(settings)
        self._app.conf.broker_transport_options = SENDING_OPTIONS

    def send(self, queue: Queue, count: int, job_id: int = 0) -> bool:
        """Send `count` tickets; whether the broker took them all."""
        try:
            for _ in range(count):
                self._app.send_task(
                    TICKET_TASK,
                    kwargs={"queue": queue.value, "job_id": job_id},
                    queue=TICKET_QUEUES[queue],
                    retry=False,
                    ignore_result=True,
                )
        except (KombuError, redis.RedisError, OSError) as error:
            _logger.info("no ticket could be sent: %s", error)
            return False
        return True

    def untaken(self, queue: Queue) -> int | None:
        """Tickets of the queue that no worker has taken yet; None when the broker is away."""
        client = redis_client(self._broker_url)
        try:
            return int(client.llen(TICKET_QUEUES[queue]))
        except redis.RedisError:
            return None
        finally:
            client.close()
