"""Putting a job and its units into the queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NotRequired, TypedDict, Unpack

from sqlalchemy import insert
from sqlalchemy.orm import Session

from core.models.jobs import Job, JobKind, Queue, Unit, UnitState
from core.queue.limits import check_new_job
from core.records.database import announce, topics_of


class JobOrder(TypedDict):
    """What a job is made of; `payloads` has one entry for each unit, in the order in which they shall run.

    `work` is the whole job's amount, in a measure of its kind; by default each unit counts 1.
    """

    kind: JobKind
    queue: Queue
    title: str
    owner: str
    payloads: Sequence[dict[str, Any]]
    request: dict[str, Any]
    priority: NotRequired[int]
    not_before: NotRequired[datetime | None]
    work: NotRequired[float]
    progress_total: NotRequired[float]
    progress_unit: NotRequired[str]
    retry_of: NotRequired[int | None]


def enqueue(session: Session, **order: Unpack[JobOrder]) -> Job:
    """Add a job with one waiting unit for each payload; its id is known at once, others see it after the commit.

    Args:
        session: a session of `Database.transaction()`.
        order: the fields of `JobOrder`; a higher `priority` is served first.

    Raises:
        ValueError: there is no payload, so that the job could never end.
        LimitError: the owner has as much as an administrator allows.
    """
    if not order["payloads"]:
        raise ValueError(f"the job {order['title']!r} has no unit to run; give at least one payload")
    check_new_job(session, order["owner"], order["queue"])
    priority = order.get("priority", 0)
    job = Job(
        kind=order["kind"],
        queue=order["queue"],
        title=order["title"],
        owner=order["owner"],
        request=order["request"],
        priority=priority,
        not_before=order.get("not_before"),
        progress_total=order.get("progress_total", 0.0),
        progress_unit=order.get("progress_unit", ""),
        retry_of_id=order.get("retry_of"),
    )
    session.add(job)
    session.flush()
    # A new job comes after all others of its owner.
    job.position = float(job.id)
    shared = {
        "job_id": job.id,
        "queue": job.queue,
        "owner": job.owner,
        "priority": priority,
        "position": job.position,
        "state": UnitState.WAITING if job.not_before is None else UnitState.HELD,
        "work": order.get("work", float(len(order["payloads"]))) / len(order["payloads"]),
    }
    session.execute(
        insert(Unit),
        [{**shared, "index": index, "payload": payload} for index, payload in enumerate(order["payloads"])],
    )
    announce(session, *topics_of(job.id))
    return job
