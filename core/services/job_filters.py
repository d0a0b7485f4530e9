"""Which jobs: one set of filters for lists, and for what is done to many at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select

from core.errors import InputError
from core.models.jobs import Job, JobKind, JobState, Queue
from core.services.rows import storable

_OPEN = (JobState.QUEUED, JobState.RUNNING)
MORE_STATES = ("active", "paused", "scheduled")


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs; an empty field leaves nothing out.

    `state` may also be "active" (queued or running), "paused", or "scheduled" (starts at a given time).
    """

    state: str = ""
    kind: str = ""
    queue: str = ""
    owner: str = ""
    search: str = ""

    def apply(self, statement: Select[Any]) -> Select[Any]:
        """The statement with only these jobs.

        Raises:
            InputError: an unknown state, kind or queue.
        """
        return statement.where(*self._conditions())

    def _conditions(self) -> list[ColumnElement[bool]]:
        wanted: list[ColumnElement[bool]] = []
        if self.state == "active":
            wanted.append(Job.state.in_(_OPEN))
        elif self.state == "paused":
            wanted += [Job.paused.is_(True), Job.state == JobState.QUEUED]
        elif self.state == "scheduled":
            wanted += [Job.not_before.is_not(None), Job.state == JobState.QUEUED]
        elif self.state:
            wanted.append(Job.state == _member(JobState, "state", self.state, MORE_STATES))
        if self.kind:
            wanted.append(Job.kind == _member(JobKind, "kind", self.kind))
        if self.queue:
            wanted.append(Job.queue == _member(Queue, "queue", self.queue))
        if self.owner:
            wanted.append(Job.owner == self.owner)
        if words := storable(self.search).strip():
            wanted.append(Job.title.icontains(words, autoescape=True))
        return wanted


def _member(
    cls: type[JobState] | type[JobKind] | type[Queue], field: str, value: str, more: tuple[str, ...] = ()
) -> JobState | JobKind | Queue:
    try:
        return cls(value)
    except ValueError:
        allowed = ", ".join([member.value for member in cls] + list(more))
        raise InputError.of(field, f"{field}: {value!r} is unknown; allowed are {allowed}.") from None
