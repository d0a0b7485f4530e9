"""Jobs: list, look up, read the log, cancel, pause, resume, retry."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from core.models.jobs import Job
from core.queue import control
from core.queue.waiting import why_waiting
from core.services import jobs as service
from webui.api.answers import location, tell_workers
from webui.api.blueprint import api
from webui.api.schemas.jobs import (
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
        return _detail(session, service.get_job(session, job_id))


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
    return _controlled(job_id, control.cancel)


@api.post("/jobs/<number:job_id>/pause")
@api.output(JobDetail)
@api.doc(responses=[409])
def pause_job(job_id: int) -> JobDetail:
    """Pause a job; a training writes a resume point and frees its device."""
    return _controlled(job_id, control.pause)


@api.post("/jobs/<number:job_id>/resume")
@api.output(JobDetail)
@api.doc(responses=[409])
def resume_job(job_id: int) -> JobDetail:
    """Let a paused job wait for its turn again."""
    return _controlled(job_id, control.resume)


@api.post("/jobs/<number:job_id>/retry")
@api.output(JobDetail, status_code=202)
@api.doc(responses=[409])
def retry_job(job_id: int) -> tuple[JobDetail, int, dict[str, str]]:
    """Queue a failed or cancelled job once more, as a new job that goes on where it stopped."""
    with current_services().database.transaction() as session:
        job = service.retry_job(session, job_id)
        answer = _detail(session, job)
    tell_workers(job)
    return answer, 202, location("jobs", job.id)


def _controlled(job_id: int, action: Callable[[Session, int], Job]) -> JobDetail:
    with current_services().database.transaction() as session:
        job = action(session, job_id)
        session.flush()
        answer = _detail(session, job)
    if not job.state.is_final and not job.paused:
        tell_workers(job)
    return answer


def _detail(session: Session, job: Job) -> JobDetail:
    return JobDetail(
        **job_values(job),
        error_trace=job.error_trace,
        why_waiting=why_waiting(session, job),
        units=[UnitOutput.of(unit) for unit in service.job_units(session, job.id)],
    )
