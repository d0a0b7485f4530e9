"""The queue: what waits in which order, and what may be done about it. Also the workers that serve it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models.jobs import Job, JobState, Queue, Unit
from core.models.workers import Worker, WorkerState
from core.people.rights import Right
from core.queue import queues as service
from core.queue.estimates import Forecast, forecasts
from core.queue.waiting import queue_counts
from core.services.job_filters import JobFilter
from core.services.many_jobs import count_cancellable
from webui.access import needs
from webui.context import current_services
from webui.identity import current_actor
from webui.pages.answers import done, page
from webui.submission import wake_queues

bp = Blueprint("queue", __name__)

_MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class WaitingJobs:
    """Jobs of one queue in the order in which their owner wants them; `more` are not shown."""

    jobs: list[Job]
    more: int
    forecasts: dict[int, Forecast]


@bp.get("/queue")
def index() -> Response:
    """Each queue with its waiting jobs: one's own, to be moved, and those of others."""
    name = current_actor().name
    with current_services().database.reading() as session:
        return page(
            "queue/index.html",
            controls=service.queue_controls(session),
            counts=queue_counts(session),
            waiting={queue: _waiting(session, queue) for queue in Queue},
            my_name=name,
            mine_open=count_cancellable(session, JobFilter(owner=name)),
            may_operate=current_actor().may(Right.OPERATE),
            may_raise=current_actor().may(Right.RAISE_PRIORITY),
        )


@bp.post("/queue/pause")
@needs(Right.OPERATE)
def pause() -> ResponseReturnValue:
    """Start nothing more of a queue, or of all."""
    actor = current_actor()
    chosen, stop = _chosen(), request.form.get("stop_running") == "true"
    with current_services().database.transaction() as session:
        service.pause_queues(session, chosen, actor.name, stop_running=stop)
    rest = "what runs stops at its next resume point" if stop else "what runs goes on to its end"
    return _done(f"{_named(chosen)} paused; {rest}.")


@bp.post("/queue/resume")
@needs(Right.OPERATE)
def resume() -> ResponseReturnValue:
    """Let a queue go on, or all."""
    actor = current_actor()
    chosen, services = _chosen(), current_services()
    with services.database.transaction() as session:
        service.resume_queues(session, chosen, actor.name)
    wake_queues(services.settings, chosen)
    return _done(f"{_named(chosen)} going on.")


@bp.post("/queue/start")
@needs(Right.OPERATE)
def start() -> ResponseReturnValue:
    """Choose how the queues come up when the system is started again."""
    actor = current_actor()
    paused = request.form.get("paused") == "true"
    with current_services().database.transaction() as session:
        service.choose_start(session, Queue, actor.name, paused=paused)
    return _done(f"After the next start of the system all queues {'come up paused' if paused else 'go on'}.")


@bp.get("/workers")
def workers() -> Response:
    """All workers, with what they run and have done."""
    with current_services().database.reading() as session:
        rows = session.execute(
            select(Worker, Job)
            .outerjoin(Unit, Unit.id == Worker.unit_id)
            .outerjoin(Job, Job.id == Unit.job_id)
            .order_by(Worker.name)
            .limit(500)
        ).all()
        rows = sorted(rows, key=lambda row: row[0].state is WorkerState.GONE)
        return page("queue/workers.html", workers=rows, may_operate=current_actor().may(Right.OPERATE))


@bp.post("/workers/drain")
@needs(Right.OPERATE)
def drain() -> ResponseReturnValue:
    """Let a worker finish what it runs and take nothing new."""
    return _drain(draining=True)


@bp.post("/workers/resume")
@needs(Right.OPERATE)
def undrain() -> ResponseReturnValue:
    """Let a drained worker take work again."""
    return _drain(draining=False)


def _drain(*, draining: bool) -> ResponseReturnValue:
    services = current_services()
    with services.database.transaction() as session:
        worker = service.drain(session, request.form.get("name", ""), draining=draining)
    if not draining:
        wake_queues(services.settings, [Queue(queue) for queue in worker.queues])
    what = "finishes what it runs and takes nothing new" if draining else "takes work again"
    return done(f"The worker {worker.name} {what}.", url_for("queue.workers"), stay=True)


def _waiting(session: Session, queue: Queue) -> WaitingJobs:
    # Queue and state are the same in all rows: they stand in the order only because newer versions of SQLite would take
    # another index without them, and read the jobs that wait in all queues.
    order = (Job.queue.desc(), Job.state.desc(), Job.priority.desc())
    found = session.scalars(
        select(Job)
        .where(Job.queue == queue, Job.state == JobState.QUEUED)
        .order_by(*order, Job.owner != current_actor().name, Job.owner, Job.position, Job.id)
        .limit(_MOST_SHOWN + 1)
    ).all()
    shown = list(found[:_MOST_SHOWN])
    return WaitingJobs(shown, len(found) - len(shown), forecasts(session, queue) if shown else {})


def _chosen() -> list[Queue]:
    name = request.form.get("queue", "")
    return [service.queue_named(name)] if name else list(Queue)


def _named(queues: list[Queue]) -> str:
    return f"The queue {queues[0].value} is" if len(queues) == 1 else "All queues are"


def _done(message: str) -> ResponseReturnValue:
    return done(message, url_for("queue.index"), stay=True)
