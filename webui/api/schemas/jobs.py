"""Jobs, their units and their logs."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from core.fields import setting
from core.models.jobs import Job, JobKind, JobLog, JobState, Queue, Unit, UnitState
from core.queue.estimates import Forecast
from core.queue.order import priority_name
from core.services.job_filters import MORE_STATES
from webui.api.schemas.common import ApiInput, ApiOutput, Listing, Moment, SearchQuery
from webui.row_numbers import LARGEST_NUMBER

_STATES = [*(state.value for state in JobState), *MORE_STATES]


class JobsQuery(SearchQuery):
    """Which jobs."""

    state: str = setting("", "State", f"One of {', '.join(_STATES)}; empty for all.", max_length=20)
    kind: str = setting("", "Kind", f"One of {', '.join(JobKind)}; empty for all.", max_length=20)
    queue: str = setting("", "Queue", f"One of {', '.join(Queue)}; empty for all.", max_length=20)
    owner: str = setting("", "Owner", "Only this owner's.", max_length=200)


class JobLogQuery(ApiInput):
    """Which lines of a log."""

    after: int = setting(0, "After", "Only lines after the one of this number.", ge=0, le=LARGEST_NUMBER)
    limit: int = setting(500, "Limit", "The newest so many lines.", ge=1, le=5_000)


class JobOutput(ApiOutput):
    """What a user asked for, and where it stands."""

    id: int
    kind: JobKind
    title: str
    owner: str
    state: JobState
    paused: bool
    cancel_requested: bool
    queue: Queue
    priority: Literal["low", "normal", "high"]
    position: float = Field(description="Order among the jobs of its owner.")
    not_before: Moment | None = Field(description="When it may start; null when it may at once.")
    subject: str = Field(description='What it works on: "dataset", "training", "generation", "take" or empty.')
    subject_id: int | None
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    phase: str
    progress_done: float
    progress_total: float = Field(description="0 while it is not known.")
    progress_unit: str
    rate: float | None
    rate_unit: str
    seconds_left: float | None
    live: dict[str, Any] = Field(description="Figures that change while it runs.")
    error: str = Field(description="Why it failed, as a sentence; else empty.")
    retry_of_id: int | None

    @classmethod
    def of(cls, job: Job) -> Self:
        """A job as the API shows it."""
        return cls(**job_values(job))


class UnitOutput(ApiOutput):
    """What one worker runs at a time."""

    id: int
    index: int
    state: UnitState
    attempt: int
    strikes: int
    worker: str
    claimed_at: Moment | None
    finished_at: Moment | None

    @classmethod
    def of(cls, unit: Unit) -> Self:
        """A unit as the API shows it."""
        return cls(**{name: getattr(unit, name) for name in cls.model_fields})


class SpanOutput(ApiOutput):
    """A range of seconds from now."""

    low: float
    high: float


class ForecastOutput(ApiOutput):
    """When a job starts and ends, from what jobs of its kind have taken lately."""

    starts_in_seconds: SpanOutput
    done_in_seconds: SpanOutput

    @classmethod
    def of(cls, forecast: Forecast) -> Self:
        """A forecast as the API shows it."""
        starts, done = (SpanOutput(low=span.low, high=span.high) for span in (forecast.starts, forecast.done))
        return cls(starts_in_seconds=starts, done_in_seconds=done)


class JobDetail(JobOutput):
    """A job with what its page shows."""

    error_trace: str
    why_waiting: str = Field(description="Why it waits; empty when it does not.")
    forecast: ForecastOutput | None = Field(description="Null while nothing is known to tell it from.")
    units: list[UnitOutput] = Field(description="Its first 200 units.")


class LogLine(ApiOutput):
    """One line of a job's log."""

    id: int
    at: Moment
    level: str
    message: str

    @classmethod
    def of(cls, line: JobLog) -> Self:
        """A line as the API shows it."""
        return cls(**{name: getattr(line, name) for name in cls.model_fields})


class JobLogOutput(ApiOutput):
    """Lines of a log, the oldest first."""

    items: list[LogLine]


class JobListing(Listing[JobOutput]):
    """A page of jobs."""


def job_values(job: Job) -> dict[str, Any]:
    """The fields of `JobOutput`."""
    own = {name for name in JobOutput.model_fields if not name.startswith(("subject", "priority"))}
    request = job.request or {}
    subject_id = request.get("subject_id")
    return {
        **{name: getattr(job, name) for name in own},
        "priority": priority_name(job.priority),
        "subject": str(request.get("subject", "")),
        "subject_id": subject_id if isinstance(subject_id, int) else None,
    }
