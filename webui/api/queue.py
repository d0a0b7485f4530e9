"""The queue: places of jobs, many jobs at once, queues, workers that are drained, limits of people."""

from __future__ import annotations

from flask import Response
from sqlalchemy.orm import Session

from core.errors import InputError
from core.models.jobs import Job, Queue
from core.people.rights import Right
from core.queue import control, limits, queues
from core.queue.order import Priority, move, move_before, set_priority
from core.queue.placing import parse_moment
from core.queue.usage import usages_of
from core.services import many_jobs
from core.services.job_filters import JobFilter
from core.services.resubmitting import resubmit
from webui.access import needs
from webui.api.answers import location, no_content, tell_workers
from webui.api.blueprint import api
from webui.api.jobs import controlled, detail
from webui.api.schemas.jobs import JobDetail
from webui.api.schemas.queue import (
    CancelManyInput,
    CancelManyOutput,
    LimitsInput,
    LimitsListing,
    LimitsOutput,
    ManyJobsInput,
    MoveInput,
    OwnerQuery,
    PauseQueuesInput,
    PlaceInput,
    QueueControlOutput,
    QueueControlsOutput,
    QueuesInput,
    ResubmitInput,
    RetryManyOutput,
    StartChoiceInput,
    WorkerInput,
)
from webui.api.schemas.system import WorkerOutput
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


@api.get("/queues")
@api.output(QueueControlsOutput)
def list_queues() -> QueueControlsOutput:
    """Show which queues are paused, and how they come up when the system is started again."""
    with current_services().database.reading() as session:
        return _controls(session)


@api.post("/queues/pause")
@needs(Right.OPERATE)
@api.input(PauseQueuesInput)
@api.output(QueueControlsOutput)
def pause_queues(json_data: PauseQueuesInput) -> QueueControlsOutput:
    """Start nothing more of some queues, or of all."""
    actor = current_actor()
    with current_services().database.transaction() as session:
        queues.pause_queues(session, json_data.queues or Queue, actor.name, stop_running=json_data.stop_running)
        return _controls(session)


@api.post("/queues/resume")
@needs(Right.OPERATE)
@api.input(QueuesInput)
@api.output(QueueControlsOutput)
def resume_queues(json_data: QueuesInput) -> QueueControlsOutput:
    """Let some queues go on, or all."""
    actor = current_actor()
    services = current_services()
    with services.database.transaction() as session:
        queues.resume_queues(session, json_data.queues or Queue, actor.name)
        answer = _controls(session)
    wake_queues(services.settings, json_data.queues or Queue)
    return answer


@api.post("/queues/start")
@needs(Right.OPERATE)
@api.input(StartChoiceInput)
@api.output(QueueControlsOutput)
def choose_start(json_data: StartChoiceInput) -> QueueControlsOutput:
    """Choose whether queues come up paused when the system is started again, or go on."""
    actor = current_actor()
    with current_services().database.transaction() as session:
        queues.choose_start(session, json_data.queues or Queue, actor.name, paused=json_data.paused)
        return _controls(session)


@api.post("/workers/drain")
@needs(Right.OPERATE)
@api.input(WorkerInput)
@api.output(WorkerOutput)
def drain_worker(json_data: WorkerInput) -> WorkerOutput:
    """Let a worker finish what it runs and take nothing new."""
    return _drain(json_data.name, draining=True)


@api.post("/workers/resume")
@needs(Right.OPERATE)
@api.input(WorkerInput)
@api.output(WorkerOutput)
def resume_worker(json_data: WorkerInput) -> WorkerOutput:
    """Let a drained worker take work again."""
    return _drain(json_data.name, draining=False)


@api.get("/limits")
@needs(Right.MANAGE_PEOPLE)
@api.output(LimitsListing)
def list_limits() -> LimitsListing:
    """Show the limits of everybody and of those who have their own, with what is used of them."""
    with current_services().database.reading() as session:
        return LimitsListing(items=_limits(session, limits.limited_owners(session)))


@api.get("/limits/mine")
@api.output(LimitsOutput)
def show_own_limits() -> LimitsOutput:
    """Show one's own limits, with what is used of them."""
    with current_services().database.reading() as session:
        return _limits(session, [current_actor().name])[0]


@api.put("/limits")
@needs(Right.MANAGE_PEOPLE)
@api.input(LimitsInput)
@api.output(LimitsOutput)
def set_limits(json_data: LimitsInput) -> LimitsOutput:
    """Set the limits of a person, or of everybody."""
    actor = current_actor()
    with current_services().database.transaction() as session:
        limits.set_limits(session, json_data.owner, json_data.model_dump(exclude={"owner"}), actor.name)
        return _limits(session, [json_data.owner])[0]


@api.delete("/limits")
@needs(Right.MANAGE_PEOPLE)
@api.input(OwnerQuery, location="query")
@api.output({}, status_code=204)
@api.doc(responses=[409])
def remove_limits(query_data: OwnerQuery) -> Response:
    """Let the limits of everybody hold for a person again, or remove those of everybody."""
    with current_services().database.transaction() as session:
        limits.remove_limits(session, query_data.owner)
    return no_content()


def _controls(session: Session) -> QueueControlsOutput:
    return QueueControlsOutput(items=[QueueControlOutput.of(row) for row in queues.queue_controls(session).values()])


def _limits(session: Session, owners: list[str]) -> list[LimitsOutput]:
    held, used = limits.all_limits(session, owners), usages_of(session, owners)
    return [LimitsOutput.of(owner, held[owner], used[owner]) for owner in owners]


def _drain(name: str, *, draining: bool) -> WorkerOutput:
    services = current_services()
    with services.database.transaction() as session:
        worker = queues.drain(session, name, draining=draining)
        answer = WorkerOutput.of(worker)
    if not draining:
        wake_queues(services.settings, [Queue(queue) for queue in worker.queues])
    return answer
