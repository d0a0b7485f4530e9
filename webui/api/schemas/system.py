"""Queues, workers and the system as a whole."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from core.models.jobs import Queue
from core.models.workers import Worker, WorkerState
from webui.api.schemas.common import ApiOutput, Moment
from webui.api.schemas.jobs import JobOutput


class WorkerOutput(ApiOutput):
    """One worker as it shows itself."""

    name: str
    host: str
    pid: int
    queues: list[str]
    device: str
    version: str
    state: WorkerState
    problem: str = Field(description="Why it serves nothing, while it is starting and cannot; else empty.")
    draining: bool
    unit_id: int | None
    units_done: int
    busy_seconds: float = Field(description="Time that it spent on units in all, s.")
    figures: dict[str, float | str] = Field(
        description="What it last measured: load per core, cores, memory and GPU memory in bytes, GPU temperature in "
        "degrees Celsius and use in percent; what it cannot know is left out."
    )
    started_at: Moment
    seen_at: Moment

    @classmethod
    def of(cls, worker: Worker) -> Self:
        """A worker as the API shows it."""
        return cls(**{name: getattr(worker, name) for name in cls.model_fields})


class WorkersOutput(ApiOutput):
    """All workers that were seen lately."""

    items: list[WorkerOutput]


class QueueOutput(ApiOutput):
    """What waits and runs in one queue, in units."""

    name: Queue
    waiting: int
    held: int
    running: int
    workers: int
    paused: bool


class OverviewOutput(ApiOutput):
    """What the dashboard's first page shows."""

    version: str
    queues: list[QueueOutput]
    workers: list[WorkerOutput]
    running: list[JobOutput]
    recent: list[JobOutput]
    datasets: int
    models: int
    generations: int
    upload_limit_bytes: int
