"""Pausing and resuming queues, draining workers, and the choice for the next start."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.errors import InputError
from core.models.base import utc_now
from core.models.jobs import Queue
from core.models.queues import QueueControl
from core.models.workers import Worker, WorkerState
from core.people.audit import record
from core.records.database import announce


def queue_named(name: str) -> Queue:
    """The queue of a name.

    Raises:
        InputError: there is none of this name.
    """
    try:
        return Queue(name)
    except ValueError:
        allowed = ", ".join(queue.value for queue in Queue)
        raise InputError.of("queue", f"queue: {name[:40]!r} is unknown; allowed are {allowed}.") from None


def queue_controls(session: Session) -> dict[Queue, QueueControl]:
    """How each queue is steered; a queue that nobody ever touched is not paused."""
    rows = {row.queue: row for row in session.scalars(select(QueueControl))}
    return {queue: rows.get(queue) or _untouched(queue) for queue in Queue}


def pause_queues(session: Session, queues: Iterable[Queue], by: str, *, stop_running: bool = False) -> None:
    """Start nothing more of these queues. With `stop_running` what runs stops at its next resume point and waits."""
    changed = _change(session, queues, by, paused=True, stop_running=stop_running)
    if changed:
        record(session, "queue.pause", subject="queue", title=changed, stop_running=stop_running)


def resume_queues(session: Session, queues: Iterable[Queue], by: str) -> None:
    """Let these queues go on (send tickets after the commit)."""
    record(
        session, "queue.resume", subject="queue", title=_change(session, queues, by, paused=False, stop_running=False)
    )


def choose_start(session: Session, queues: Iterable[Queue], by: str, *, paused: bool) -> None:
    """Whether these queues come up paused when the whole system is started again, or go on."""
    changed = _change(session, queues, by, start_paused=paused)
    record(session, "queue.choose_start", subject="queue", title=changed, paused=paused)


def apply_start(session: Session, *, paused: bool = False) -> list[Queue]:
    """At the start of the whole system, before any worker: pause the queues that shall come up paused; which those are.

    Args:
        session: a session of `Database.transaction()`.
        paused: pause all of them, whatever was chosen.
    """
    controls = queue_controls(session)
    wanted = [queue for queue in Queue if paused or controls[queue].start_paused]
    pause_queues(session, [queue for queue in wanted if not controls[queue].paused], "the start of the system")
    return wanted


def drain(session: Session, name: str, *, draining: bool = True) -> Worker:
    """Let a worker finish what it runs and take nothing new; or let it take work again. Twice is no error.

    Raises:
        InputError: there is no such worker.
    """
    worker = session.scalars(
        update(Worker)
        .where(Worker.name == name)
        .values(draining=draining)
        .returning(Worker)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).one_or_none()
    if worker is None:
        known = session.scalars(select(Worker.name).where(Worker.state != WorkerState.GONE).order_by(Worker.name))
        names = ", ".join(known) or "none"
        raise InputError.of("name", f"name: there is no worker {name[:100]!r}; known are: {names}.")
    record(session, "worker.drain" if draining else "worker.resume", subject="worker", title=name)
    announce(session, "workers")
    return worker


def _untouched(queue: Queue) -> QueueControl:
    return QueueControl(queue=queue, paused=False, stop_running=False, start_paused=False, changed_by="")


def _change(session: Session, queues: Iterable[Queue], by: str, **values: bool) -> str:
    chosen = list(queues)
    for queue in chosen:
        row = session.get(QueueControl, queue)
        if row is None:
            row = _untouched(queue)
            session.add(row)
        for name, value in values.items():
            setattr(row, name, value)
        row.changed_by, row.changed_at = by, utc_now()
    session.flush()
    announce(session, "queues", "jobs")
    return ", ".join(queue.value for queue in chosen)
