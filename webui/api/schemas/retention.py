"""The rule of retention, what it would delete, and its runs."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from core.fields import setting
from core.models.operations import RetentionRun
from core.operations.retention_rule import MOST_DAYS
from webui.api.schemas.common import ApiInput, ApiOutput, Moment


class RetentionQuery(ApiInput):
    """How old takes must be to be counted."""

    days: int = setting(0, "Days", "Count what is older than this; 0 counts nothing.", ge=0, le=MOST_DAYS)


class RetentionRuleInput(ApiInput):
    """Another rule."""

    days: int | None = setting(
        ..., "Days", "After which takes that nobody kept go; 0 for never, null for the setting.", ge=0, le=MOST_DAYS
    )


class RetentionRunInput(ApiInput):
    """A deletion, after its number was asked for."""

    days: int = setting(..., "Days", "Delete what is older than this.", ge=1, le=MOST_DAYS)
    most: int = setting(..., "Most", "How many takes you were told of; if there are more, nothing is deleted.", ge=0)


class RetentionRunOutput(ApiOutput):
    """One deletion."""

    id: int
    days: int
    asked_by: str = Field(description="Empty for the rule.")
    asked_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    takes: int = Field(description="Deleted so far.")
    bytes: int = Field(description="Of their files.")
    error: str

    @classmethod
    def of(cls, run: RetentionRun) -> Self:
        """A run as the API shows it."""
        return cls(**{name: getattr(run, name) for name in cls.model_fields})


class StoredOutput(ApiOutput):
    """What one person stores, and what would go of it."""

    owner: str
    stored_bytes: int
    expired_takes: int
    expired_bytes: int


class RetentionOutput(ApiOutput):
    """Rule, storage and the last deletions."""

    days: int = Field(description="Days after which takes that nobody kept go; 0 for never.")
    set_by: str = Field(description="Who set it; empty where the installation's setting holds.")
    people: list[StoredOutput]
    runs: list[RetentionRunOutput]
