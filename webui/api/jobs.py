"""Jobs: list, look up, read the log, cancel, pause, resume, retry."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from core.models.jobs import Job
from core.queue import control
from core.queue.estimates import forecasts
from core.queue.waiting import why_waiting
from core.services import jobs as service
from webui.api.answers import location, tell_workers
from webui.api.blueprint import api
from webui.api.schemas.jobs import (
    ForecastOutput,
    JobDetail,
    JobListing,
    JobLogOutput,
    JobLogQuery,
    JobOutput,
    JobsQuery,
    LogLine,
    UnitOutput,
    job_values,
)
from webui.context import current_services


@api.get("/jobs")
@api.input(JobsQuery, location="query")
@api.output(JobListing)
def list_jobs(query_data: JobsQuery) -> JobListing:
    """List jobs, the newest first."""
    with current_services().database.reading() as session:
        page = service.find_jobs(session, **query_data.model_dump())
        return JobListing.of(page, JobOutput.of)


@api.get("/jobs/<number:job_id>")
@api.output(JobDetail)
def get_job(job_id: int) -> JobDetail:
    """Show a job with its units, why it waits and why it failed."""
    with current_services().database.reading() as session:
        return detail(session, service.get_job(session, job_id))


@api.get("/jobs/<number:job_id>/log")
@api.input(JobLogQuery, location="query")
@api.output(JobLogOutput)
def get_job_log(job_id: int, query_data: JobLogQuery) -> JobLogOutput:
    """Read the log of a job."""
    with current_services().database.reading() as session:
        service.get_job(session, job_id)
        lines = service.job_log(session, job_id, query_data.after, query_data.limit)
        return JobLogOutput(items=[LogLine.of(line) for line in lines])


@api.post("/jobs/<number:job_id>/cancel")
@api.output(JobDetail)
@api.doc(responses=[409])
def cancel_job(job_id: int) -> JobDetail:
    """Cancel a job; what it made so far stays."""
    return controlled(job_id, control.cancel)


@api.post("/jobs/<number:job_id>/pause")
@api.output(JobDetail)
@api.doc(responses=[409])
def pause_job(job_id: int) -> JobDetail:
    """Pause a job; a training writes a resume point and frees its device."""
    return controlled(job_id, control.pause)


@api.post("/jobs/<number:job_id>/resume")
@api.output(JobDetail)
@api.doc(responses=[409])
def resume_job(job_id: int) -> JobDetail:
    """Let a paused job wait for its turn again."""
    return controlled(job_id, control.resume)


@api.post("/jobs/<number:job_id>/retry")
@api.output(JobDetail, status_code=202)
@api.doc(responses=[409])
def retry_job(job_id: int) -> tuple[JobDetail, int, dict[str, str]]:
    """Queue a failed or cancelled job once more, as a new job that goes on where it stopped."""
    with current_services().database.transaction() as session:
        job = service.retry_job(session, job_id)
        answer = detail(session, job)
    tell_workers(job)
    return answer, 202, location("jobs", job.id)


def controlled(job_id: int, action: Callable[[Session, int], Job]) -> JobDetail:
    """Do something to a job and show it; its workers are told when it may run now."""
    with current_services().database.transaction() as session:
        job = action(session, job_id)
        session.flush()
        answer = detail(session, job)
    if not job.state.is_final and not job.paused and job.not_before is None:
        tell_workers(job)
    return answer


def _forecast(session: Session, job: Job) -> ForecastOutput | None:
    if job.state.is_final:
        return None
    found = forecasts(session, job.queue).get(job.id)
    return None if found is None else ForecastOutput.of(found)


def detail(session: Session, job: Job) -> JobDetail:
    """A job as its page shows it."""
    return JobDetail(
        **job_values(job),
        error_trace=job.error_trace,
        why_waiting=why_waiting(session, job),
        forecast=_forecast(session, job),
        units=[UnitOutput.of(unit) for unit in service.job_units(session, job.id)],
    )
