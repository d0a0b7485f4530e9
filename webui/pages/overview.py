"""The overview: what runs, what waits, what to do first."""

from __future__ import annotations

from flask import Blueprint, Response
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from core.models.datasets import Dataset
from core.models.generations import Generation
from core.models.jobs import Job, JobState, Unit
from core.models.trainings import Model
from core.models.workers import Worker, WorkerState
from core.queue.queues import queue_controls
from core.queue.waiting import queue_counts
from core.ready.shipped import ready_model
from core.services.ready import ORIGIN
from webui.context import current_services
from webui.pages.answers import page, wanted_part

bp = Blueprint("overview", __name__)

_RUNNING_SHOWN = 12
_RECENT_SHOWN = 8


@bp.get("/")
def index() -> Response:
    """Queues, workers, running and recent jobs, first steps, quick facts."""
    part = wanted_part()
    with current_services().database.reading() as session:
        return page(
            "overview.html",
            facts=_facts(session) if part in {"", "live_facts"} else None,
            queues=queue_counts(session) if part in {"", "live_workers"} else None,
            controls=queue_controls(session) if part in {"", "live_workers"} else None,
            workers=_workers(session) if part in {"", "live_workers"} else None,
            running=_running(session) if part in {"", "live_jobs"} else None,
            recent=_recent(session) if part in {"", "live_jobs"} else None,
        )


def _facts(session: Session) -> dict[str, int | Dataset | Model | None]:
    others = case((Generation.model_hash != ready_model().content_hash, Generation.takes_done), else_=0)
    generations = session.execute(
        select(func.count(), func.coalesce(func.sum(Generation.takes_done), 0), func.coalesce(func.sum(others), 0))
        .select_from(Generation)
        .where(Generation.purpose == "")
    ).one()
    return {
        "datasets": session.scalar(select(func.count()).select_from(Dataset)) or 0,
        "models": session.scalar(select(func.count()).select_from(Model)) or 0,
        "generations": generations[0],
        "takes": int(generations[1]),
        # Of models that were trained or brought here: the shipped one is a taste, not the way through.
        "own_takes": int(generations[2]),
        "dataset": session.scalar(select(Dataset).where(Dataset.ready).order_by(Dataset.id.desc()).limit(1)),
        "model": session.scalar(select(Model).where(Model.origin != ORIGIN).order_by(Model.id.desc()).limit(1)),
        "importing": session.scalar(
            select(Dataset)
            .join(Job, Job.id == Dataset.job_id)
            .where(Dataset.ready.is_(False), Job.state.in_([JobState.QUEUED, JobState.RUNNING]))
            .limit(1)
        ),
    }


def _workers(session: Session) -> list[tuple[Worker, Job | None]]:
    statement = (
        select(Worker, Job)
        .outerjoin(Unit, Unit.id == Worker.unit_id)
        .outerjoin(Job, Job.id == Unit.job_id)
        .where(Worker.state != WorkerState.GONE)
        .order_by(Worker.name)
    )
    return [(worker, job) for worker, job in session.execute(statement)]


def _running(session: Session) -> list[Job]:
    statement = select(Job).where(Job.state == JobState.RUNNING).order_by(Job.id.desc()).limit(_RUNNING_SHOWN)
    return list(session.scalars(statement))


def _recent(session: Session) -> list[Job]:
    # Also those that wait: the newest first, whatever became of them.
    statement = select(Job).order_by(Job.id.desc()).limit(_RUNNING_SHOWN + _RECENT_SHOWN)
    return [job for job in session.scalars(statement) if job.state is not JobState.RUNNING][:_RECENT_SHOWN]
