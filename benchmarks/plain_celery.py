"""A plain Celery app whose task does nothing, with Celery's own defaults: the peer of the tickets' rows."""

from __future__ import annotations

import os

from celery import Celery

BROKER_VARIABLE = "PLAIN_BROKER"
QUEUE = "plain"
TASK = "plain.nothing"


def plain_app(broker_url: str) -> Celery:
    """The app; its worker finds the broker in the environment, those who send name it."""
    made = Celery("plain", broker=broker_url, set_as_current=False)
    made.conf.update(task_ignore_result=True, task_default_queue=QUEUE)
    made.task(name=TASK)(_nothing)
    return made


def _nothing() -> None:
    """Be done."""


app = plain_app(os.environ.get(BROKER_VARIABLE, ""))
