"""Queues that are paused and go on, and workers that are drained."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlalchemy.orm import Session

from core.models.jobs import Queue
from core.people.rights import Right
from core.queue import queues
from webui.access import needs
from webui.api.blueprint import api
from webui.api.schemas.queue import (
    PauseQueuesInput,
    QueueControlOutput,
    QueueControlsOutput,
    QueuesInput,
    StartChoiceInput,
    WorkerInput,
)
from webui.api.schemas.system import WorkerOutput
from webui.context import current_services
from webui.identity import current_actor
from webui.submission import wake_queues


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
    return _changed(queues.pause_queues, json_data.queues, stop_running=json_data.stop_running)


@api.post("/queues/resume")
@needs(Right.OPERATE)
@api.input(QueuesInput)
@api.output(QueueControlsOutput)
def resume_queues(json_data: QueuesInput) -> QueueControlsOutput:
    """Let some queues go on, or all."""
    answer = _changed(queues.resume_queues, json_data.queues)
    wake_queues(current_services().settings, json_data.queues or Queue)
    return answer


@api.post("/queues/start")
@needs(Right.OPERATE)
@api.input(StartChoiceInput)
@api.output(QueueControlsOutput)
def choose_start(json_data: StartChoiceInput) -> QueueControlsOutput:
    """Choose whether queues come up paused when the system is started again, or go on."""
    return _changed(queues.choose_start, json_data.queues, paused=json_data.paused)


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


def _changed(change: Callable[..., None], chosen: Iterable[Queue], **how: bool) -> QueueControlsOutput:
    """Change the chosen queues, or all where none is named; how they stand then."""
    with current_services().database.transaction() as session:
        change(session, chosen or Queue, current_actor().name, **how)
        return _controls(session)


def _controls(session: Session) -> QueueControlsOutput:
    return QueueControlsOutput(items=[QueueControlOutput.of(row) for row in queues.queue_controls(session).values()])


def _drain(name: str, *, draining: bool) -> WorkerOutput:
    services = current_services()
    with services.database.transaction() as session:
        worker = queues.drain(session, name, draining=draining)
        answer = WorkerOutput.of(worker)
    if not draining:
        wake_queues(services.settings, [Queue(queue) for queue in worker.queues])
    return answer
