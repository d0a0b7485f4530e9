"""Settings that a person fills in: one declaration gives the form's field, the API's schema and the refusal's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from core.errors import FieldProblem, InputError


def setting(
    default: Any,
    label: str,
    help: str = "",
    *,
    unit: str = "",
    advanced: bool = False,
    choices: Mapping[str, str] | None = None,
    **limits: Any,
) -> Any:
    """Declare one setting of a `PersonSettings` class.

    Args:
        default: value when nothing is given; `...` makes the field required.
        label: the words beside the field in a form.
        help: one sentence below it.
        unit: unit shown behind the field ("notes", "s").
        advanced: folded away in the form at first.
        choices: value to label, for a field that is a choice.
        limits: pydantic's own limits (`ge`, `le`, `gt`, `lt`, `min_length`, `max_length`).
    """
    extra: dict[str, Any] = {"unit": unit, "advanced": advanced, "choices": dict(choices or {})}
    return Field(default, title=label, description=help, json_schema_extra=extra, **limits)


class PersonSettings(BaseModel):
    """Base of all settings that people choose; unknown names are refused, values cannot change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Validate what a form, the API or the command line gave.

        Raises:
            InputError: naming each refused field, its value and the allowed range.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise InputError(*(field_problem(cls, detail) for detail in error.errors())) from None


def allowed_range(field: FieldInfo) -> str:
    """The allowed range of a field in words, such as "1 to 127"; empty when it has none."""
    limits = {name: getattr(m, name) for m in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(m, name)}
    low = limits.get("ge", limits.get("gt"))
    high = limits.get("le", limits.get("lt"))
    choices = (field.json_schema_extra or {}).get("choices") if isinstance(field.json_schema_extra, dict) else None
    if isinstance(choices, dict) and choices:
        return "one of " + ", ".join(choices)
    if low is not None and high is not None:
        return f"{'above ' if 'gt' in limits else ''}{low} to {'below ' if 'lt' in limits else ''}{high}"
    if low is not None:
        return f"above {low}" if "gt" in limits else f"at least {low}"
    if high is not None:
        return f"below {high}" if "lt" in limits else f"at most {high}"
    return ""


def field_problem(cls: type[BaseModel], detail: ErrorDetails) -> FieldProblem:
    """One pydantic error as a sentence that names the field, the value and the allowed range."""
    # A check across fields has no place of its own; its sentence begins with the field that it is about.
    said = str(detail.get("ctx", {}).get("error", detail["msg"]))
    name = str(detail["loc"][0]) if detail["loc"] else said.partition(":")[0]
    field = cls.model_fields.get(name)
    if detail["type"] == "extra_forbidden" or (field is None and detail["loc"]):
        known = ", ".join(cls.model_fields)
        return FieldProblem(name, f"{name}: there is no such setting; allowed are {known}.")
    if detail["type"] == "missing":
        return FieldProblem(name, f"{name}: a value is required.")
    if detail["type"] == "value_error":
        return FieldProblem(name, said if said.startswith(name) else f"{name}: {said}")
    allowed = allowed_range(field) if field is not None else ""
    value = str(detail.get("input"))
    quoted = value if len(value) <= 60 else value[:57] + "..."
    hint = f"allowed is {allowed}" if allowed else detail["msg"].lower()
    return FieldProblem(name, f"{name}: {quoted!r} is refused; {hint}.")
