"""What all schemas of the API share: input that is checked in sentences, lists in pages, errors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from core.errors import InputError
from core.fields import PersonSettings, field_problem, setting
from core.services.paging import LARGEST_PAGE, Page

_LAST_PAGE = 1_000_000

Item = TypeVar("Item")
Row = TypeVar("Row")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(_iso, return_type=str, when_used="json")]
"""A moment in UTC, ISO 8601 with milliseconds."""


class ApiInput(PersonSettings):
    """Base of all that the API takes: unknown fields, and text that no database can store, are refused."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Like pydantic's, but refuses in sentences.

        Raises:
            InputError: naming each refused field, its value and the allowed range.
        """
        if not isinstance(obj, dict):
            raise InputError.of("body", f"body: a JSON object is needed, not {str(obj)[:60]!r}.")
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise InputError(*(field_problem(cls, detail) for detail in error.errors())) from None

    @model_validator(mode="before")
    @classmethod
    def _text_can_be_stored(cls, values: Any) -> Any:
        for name, value in values.items() if isinstance(values, dict) else ():
            if not _storable(value) or not _storable(name):
                raise ValueError(f"{name[:40]}: a zero character or half of a character pair is refused; send text.")
        return values


class ApiOutput(BaseModel):
    """Base of all that the API gives."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class PageQuery(ApiInput):
    """Which page of a list."""

    page: int = setting(1, "Page", "Pages count from 1.", ge=1, le=_LAST_PAGE)
    per_page: int = setting(50, "Per page", "Items on a page.", ge=1, le=LARGEST_PAGE)


class SearchQuery(PageQuery):
    """A page of the items whose name contains some words."""

    search: str = setting("", "Search", "Only items whose name contains this text.", max_length=200)


class RenameInput(ApiInput):
    """Another name."""

    name: str = setting(..., "Name", "The new name.", min_length=1, max_length=200)


class Listing(ApiOutput, Generic[Item]):
    """One page of `total` items."""

    items: list[Item] = Field(description="The items of this page.")
    page: int = Field(description="This page's number, from 1.", ge=1)
    per_page: int = Field(description="Most items on a page.", ge=1, le=LARGEST_PAGE)
    total: int = Field(description="Items on all pages together.", ge=0)

    @classmethod
    def of(cls, page: Page[Row], item_of: Callable[[Row], Item]) -> Self:
        """The answer that shows a page of rows."""
        return cls(items=[item_of(row) for row in page.items], page=page.page, per_page=page.per_page, total=page.total)


class Problem(ApiOutput):
    """What was refused, and why."""

    message: str = Field(description="A sentence for people.")
    fields: dict[str, str] = Field(description="A sentence for each refused field.")


class ErrorAnswer(ApiOutput):
    """Every answer from 400 on."""

    error: Problem


def _storable(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, dict):
        return all(_storable(name) and _storable(item) for name, item in value.items())
    return all(map(_storable, value)) if isinstance(value, list) else True
