"""Steering the queue: places of jobs, many jobs at once, queues, workers, limits of people."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from core.fields import setting
from core.models.jobs import Queue
from core.models.queues import QueueControl
from core.queue.limits import Limits
from core.queue.usage import Usage
from webui.api.schemas.common import ApiInput, ApiOutput, Moment
from webui.row_numbers import LARGEST_NUMBER

_OWNER = "Name of a person; empty for everybody who has no limits of their own."
_LARGEST_BYTES = 2**60


class PlaceInput(ApiInput):
    """Another priority, or another time to start; what is left out stays."""

    priority: Literal["low", "normal", "high"] | None = setting(None, "Priority", "High needs a right.")
    start_at: str | None = setting(None, "Start at", "ISO 8601; empty to start as soon as possible.", max_length=40)


class MoveInput(ApiInput):
    """Where a waiting job goes among its owner's jobs of the same queue and priority."""

    to: Literal["first", "up", "down", "last"] | None = setting(None, "To", "Where to; first makes it the next.")
    before: int | None = setting(None, "Before", "Right before the job of this number.", ge=1, le=LARGEST_NUMBER)


class ManyJobsInput(ApiInput):
    """Which jobs, and how many of them the one who asks knows of."""

    kind: Literal["import", "training", "generation", "evaluation", "audio", ""] = setting("", "Kind", "Of this kind.")
    queue: Literal["training", "generation", "light", ""] = setting("", "Queue", "Of this queue.")
    owner: str = setting("", "Owner", "Only this owner's; others' need a right.", max_length=200)
    search: str = setting("", "Search", "Whose title contains this text.", max_length=200)
    most: int = setting(..., "Most", "Nothing is done when more jobs than these fit.", ge=0, le=LARGEST_NUMBER)


class CancelManyInput(ManyJobsInput):
    """Which jobs to cancel; those that have ended are left out."""

    state: Literal["queued", "running", "active", "paused", "scheduled", ""] = setting("", "State", "In this state.")


class CancelManyOutput(ApiOutput):
    """Which jobs are cancelled, or will be within seconds."""

    jobs: list[int]


class RetryManyOutput(ApiOutput):
    """The new jobs, and why some jobs were not tried again."""

    jobs: list[int]
    refusals: list[str]


class ResubmitInput(ApiInput):
    """What differs from the old one."""

    settings: dict[str, Any] = setting({}, "Settings", "Settings that differ; the others stay as they were.")
    name: str = setting("", "Name", "The old one's name when empty.", max_length=200)
    cancel: bool = setting(False, "Cancel", "End the old job if it still waits or runs, in the same step.")


class QueuesInput(ApiInput):
    """Which queues."""

    queues: list[Queue] = setting([], "Queues", "All queues when empty.", max_length=len(Queue))


class PauseQueuesInput(QueuesInput):
    """Which queues to pause, and what becomes of what runs."""

    stop_running: bool = setting(False, "Stop what runs", "At its next resume point; else it goes on to its end.")


class StartChoiceInput(QueuesInput):
    """How queues come up when the whole system is started again."""

    paused: bool = setting(..., "Paused", "Paused, or going on.")


class QueueControlOutput(ApiOutput):
    """How a queue is steered."""

    name: Queue
    paused: bool
    stop_running: bool
    start_paused: bool = Field(description="Whether it comes up paused when the system is started again.")
    changed_by: str

    @classmethod
    def of(cls, control: QueueControl) -> Self:
        """A queue's steering as the API shows it."""
        own = {name: getattr(control, name) for name in cls.model_fields if name != "name"}
        return cls(name=control.queue, **own)


class QueueControlsOutput(ApiOutput):
    """How all queues are steered."""

    items: list[QueueControlOutput]


class WorkerInput(ApiInput):
    """Which worker."""

    name: str = setting(..., "Name", "The worker's name.", min_length=1, max_length=100)


class OwnerQuery(ApiInput):
    """Whose."""

    owner: str = setting("", "Owner", _OWNER, max_length=200)


class LimitsInput(OwnerQuery):
    """The most that one owner may have; null is no limit."""

    waiting_jobs: int | None = setting(None, "Waiting jobs", "Jobs that wait at a time.", ge=0, le=LARGEST_NUMBER)
    running_units: int | None = setting(None, "Running units", "Units at a time.", ge=0, le=LARGEST_NUMBER)
    gpu_hours_week: float | None = setting(None, "GPU hours", "In the last seven days.", ge=0, le=1e6)
    storage_bytes: int | None = setting(None, "Storage", "Stored bytes.", ge=0, le=_LARGEST_BYTES)


class LimitsOutput(ApiOutput):
    """What an owner may have at most, and has."""

    owner: str = Field(description="Empty: everybody who has no limits of their own.")
    own: bool = Field(description="Whether these are limits of the owner alone.")
    waiting_jobs: int | None
    running_units: int | None
    gpu_hours_week: float | None
    storage_bytes: int | None
    used_waiting_jobs: int
    used_running_units: int
    used_gpu_hours_week: float
    used_storage_bytes: int
    gpu_hours_free_at: Moment | None

    @classmethod
    def of(cls, owner: str, limits: Limits, usage: Usage) -> Self:
        """Limits beside what is used of them."""
        names = ("waiting_jobs", "running_units", "gpu_hours_week", "storage_bytes")
        return cls(
            owner=owner,
            own=limits.own,
            **{name: getattr(limits, name) for name in names},
            **{f"used_{name}": getattr(usage, name) for name in names},
            gpu_hours_free_at=usage.gpu_hours_free_at,
        )


class LimitsListing(ApiOutput):
    """The limits of everybody first, then of each who has limits of their own."""

    items: list[LimitsOutput]
