"""Places of jobs in the queue: one job, and many at once."""

from __future__ import annotations

from sqlalchemy.orm import Session

from core.errors import InputError
from core.models.jobs import Job, Queue
from core.people.rights import Right
from core.queue import control
from core.queue.order import Priority, move, move_before, set_priority
from core.queue.placing import parse_moment
from core.services import many_jobs
from core.services.job_filters import JobFilter
from core.services.resubmitting import resubmit
from webui.api.answers import location, tell_workers
from webui.api.blueprint import api
from webui.api.jobs import controlled, detail
from webui.api.schemas.jobs import JobDetail
from webui.api.schemas.queue import (
    CancelManyInput,
    CancelManyOutput,
    ManyJobsInput,
    MoveInput,
    PlaceInput,
    ResubmitInput,
    RetryManyOutput,
)
from webui.context import current_services
from webui.identity import current_actor
from webui.many import others_allowed
from webui.submission import wake_queues


@api.patch("/jobs/<number:job_id>")
@api.input(PlaceInput)
@api.output(JobDetail)
@api.doc(responses=[409])
def place_job(job_id: int, json_data: PlaceInput) -> JobDetail:
    """Give a job another priority, or another time to start."""
    moment = None if json_data.start_at is None else parse_moment(json_data.start_at)
    if json_data.priority == "high":
        current_actor().require(Right.RAISE_PRIORITY)

    def change(session: Session, number: int) -> Job:
        job = control.locked_job(session, number)
        if json_data.priority is not None:
            job = set_priority(session, number, Priority.named(json_data.priority))
        if json_data.start_at is not None:
            job = control.start_at(session, number, moment)
        return job

    return controlled(job_id, change)


@api.post("/jobs/<number:job_id>/move")
@api.input(MoveInput)
@api.output(JobDetail)
@api.doc(responses=[409])
def move_job(job_id: int, json_data: MoveInput) -> JobDetail:
    """Move a waiting job among its owner's jobs."""
    to, before = json_data.to, json_data.before
    if (to is None) == (before is None):
        raise InputError.of("to", "to: give either to (first, up, down or last) or before (a job's number).")
    if to is not None:
        return controlled(job_id, lambda session, number: move(session, number, to))
    return controlled(job_id, lambda session, number: move_before(session, number, before))


@api.post("/jobs/cancel")
@api.input(CancelManyInput)
@api.output(CancelManyOutput)
@api.doc(responses=[409])
def cancel_jobs(json_data: CancelManyInput) -> CancelManyOutput:
    """Cancel all jobs that fit; `total` of the list with the same filters says how many they are."""
    which = JobFilter(
        json_data.state, json_data.kind, json_data.queue, others_allowed(json_data.owner), json_data.search
    )
    return CancelManyOutput(jobs=many_jobs.cancel_jobs(current_services().database, which, json_data.most))


@api.post("/jobs/retry")
@api.input(ManyJobsInput)
@api.output(RetryManyOutput)
@api.doc(responses=[409])
def retry_jobs(json_data: ManyJobsInput) -> RetryManyOutput:
    """Try all failed jobs that fit again, each as a new job that points at the old one."""
    services = current_services()
    which = JobFilter("", json_data.kind, json_data.queue, others_allowed(json_data.owner), json_data.search)
    retried = many_jobs.retry_jobs(services.database, which, json_data.most)
    wake_queues(services.settings, Queue)
    return RetryManyOutput(jobs=list(retried.jobs), refusals=list(retried.refusals))


@api.post("/jobs/<number:job_id>/resubmit")
@api.input(ResubmitInput)
@api.output(JobDetail, status_code=202)
@api.doc(responses=[409])
def resubmit_job(job_id: int, json_data: ResubmitInput) -> tuple[JobDetail, int, dict[str, str]]:
    """Submit a generation or a training again with some settings changed, as a new thing."""
    services = current_services()
    with services.database.transaction() as session:
        job = resubmit(
            session,
            services.store,
            job_id,
            changes=json_data.settings,
            name=json_data.name,
            owner=current_actor().name,
            cancel_old=json_data.cancel,
        )
        session.flush()
        answer = detail(session, job)
    tell_workers(job)
    return answer, 202, location("jobs", job.id)
