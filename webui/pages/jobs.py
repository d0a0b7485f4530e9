"""Jobs: the list with filters, one job with its log, and what can be done to them."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.models.jobs import Job, JobKind, Queue, Unit
from core.people.rights import Right
from core.queue import control
from core.queue.estimates import Forecast, forecasts
from core.queue.waiting import why_waiting
from core.services import jobs as service
from core.services.job_filters import JobFilter
from core.services.many_jobs import count_cancellable, count_retryable
from webui.context import current_services
from webui.identity import current_actor
from webui.pages.answers import done, number_arg, page, wanted_part
from webui.submission import send_tickets_for

bp = Blueprint("jobs", __name__, url_prefix="/jobs")


@bp.get("")
def index() -> Response:
    """All jobs."""
    names = ("state", "kind", "queue", "owner", "search")
    chosen = {name: text for name in names if (text := request.args.get(name, ""))}
    with current_services().database.reading() as session:
        found = service.find_jobs(session, **chosen, page=number_arg("page"), per_page=30)
        owner = chosen.get("owner", "") if current_actor().may(Right.CHANGE_OTHERS) else current_actor().name
        which = JobFilter(**{**chosen, "owner": owner})
        return page(
            "jobs/index.html",
            found=found,
            chosen=chosen,
            kinds=list(JobKind),
            queues=list(Queue),
            my_name=current_actor().name,
            owner=owner,
            cancellable=count_cancellable(session, which),
            retryable=count_retryable(session, which) if chosen.get("state", "") in ("", "failed") else 0,
        )


@bp.get("/<number:job_id>")
def show(job_id: int) -> Response:
    """One job: progress, units, log, error."""
    part = wanted_part()
    with current_services().database.reading() as session:
        job = service.get_job(session, job_id)
        return page(
            "jobs/show.html",
            job=job,
            why=why_waiting(session, job) if part in {"", "live_job"} else "",
            times=_forecast(session, job) if part in {"", "live_job"} else None,
            units=_unit_counts(session, job_id) if part in {"", "live_job"} else {},
            lines=service.job_log(session, job_id) if part in {"", "live_log"} else [],
            again=session.scalar(select(Job.id).where(Job.retry_of_id == job_id).limit(1)),
        )


@bp.post("/<number:job_id>/cancel")
def cancel(job_id: int) -> ResponseReturnValue:
    """End it."""
    with current_services().database.transaction() as session:
        job = control.cancel(session, job_id)
    words = "is cancelled" if job.state.is_final else "stops within a few seconds"
    return _done(f"Job {job.id} {words}.", job)


@bp.post("/<number:job_id>/pause")
def pause(job_id: int) -> ResponseReturnValue:
    """Hold it."""
    with current_services().database.transaction() as session:
        job = control.pause(session, job_id)
    return _done(f"Job {job.id} is paused; it frees its device within seconds.", job)


@bp.post("/<number:job_id>/resume")
def resume(job_id: int) -> ResponseReturnValue:
    """Let it go on."""
    services = current_services()
    with services.database.transaction() as session:
        job = control.resume(session, job_id)
    send_tickets_for(services.settings, job)
    return _done(f"Job {job.id} goes on.", job)


@bp.post("/<number:job_id>/retry")
def retry(job_id: int) -> ResponseReturnValue:
    """Try it once more, as a new job."""
    services = current_services()
    with services.database.transaction() as session:
        job = service.retry_job(session, job_id)
    send_tickets_for(services.settings, job)
    location = url_for("jobs.show", job_id=job.id)
    return done(f"Job {job_id} is tried again as job {job.id}.", location, stay=True, href=location)


def _done(message: str, job: Job) -> ResponseReturnValue:
    return done(message, url_for("jobs.show", job_id=job.id), stay=True)


def _forecast(session: Session, job: Job) -> Forecast | None:
    return None if job.state.is_final else forecasts(session, job.queue).get(job.id)


def _unit_counts(session: Session, job_id: int) -> dict[str, int]:
    statement = select(Unit.state, func.count()).where(Unit.job_id == job_id).group_by(Unit.state)
    return {state.value: count for state, count in session.execute(statement)}
