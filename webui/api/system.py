"""The system as a whole: queues, workers, what runs, what there is."""

from __future__ import annotations

from sqlalchemy import func, select

import core
from core.models.datasets import Dataset
from core.models.generations import Generation
from core.models.trainings import Model
from core.models.workers import Worker, WorkerState
from core.queue.queues import queue_controls
from core.queue.waiting import queue_counts
from core.services.jobs import find_jobs
from webui.api.blueprint import api
from webui.api.schemas.jobs import JobOutput
from webui.api.schemas.system import OverviewOutput, QueueOutput, WorkerOutput, WorkersOutput
from webui.context import current_services

_LATELY = 10
_MOST_RUNNING = 100


@api.get("/overview")
@api.output(OverviewOutput)
def get_overview() -> OverviewOutput:
    """Show queues, workers with what they run, and recent jobs."""
    services = current_services()
    with services.database.reading() as session:
        tables = (Dataset, Model, Generation)
        datasets, models, generations = (session.scalar(select(func.count(table.id))) or 0 for table in tables)
        controls = queue_controls(session)
        workers = session.scalars(select(Worker).where(Worker.state != WorkerState.GONE).order_by(Worker.name))
        return OverviewOutput(
            version=core.__version__,
            queues=[
                QueueOutput(
                    name=name,
                    waiting=counts.waiting,
                    held=counts.held,
                    running=counts.running,
                    workers=counts.workers,
                    paused=controls[name].paused,
                )
                for name, counts in queue_counts(session).items()
            ],
            workers=[WorkerOutput.of(worker) for worker in workers],
            running=[JobOutput.of(job) for job in find_jobs(session, state="running", per_page=_MOST_RUNNING).items],
            recent=[JobOutput.of(job) for job in find_jobs(session, per_page=_LATELY).items],
            datasets=datasets,
            models=models,
            generations=generations,
            upload_limit_bytes=services.settings.upload_limit_bytes,
        )


@api.get("/workers")
@api.output(WorkersOutput)
def list_workers() -> WorkersOutput:
    """List the workers, those that are gone included."""
    with current_services().database.reading() as session:
        workers = session.scalars(select(Worker).order_by(Worker.name).limit(1_000))
        return WorkersOutput(items=[WorkerOutput.of(worker) for worker in workers])
