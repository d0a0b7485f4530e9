"""Settings that a person fills in: one declaration gives the form's field, the API's schema and the refusal's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
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

    @model_validator(mode="before")
    @classmethod
    def _yes_is_no_number(cls, values: Any) -> Any:
        # Python counts True as 1, and so does pydantic; a person who sends it means something else.
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, bool) and name in cls.model_fields and _takes_numbers(cls.model_fields[name]):
                raise ValueError(
                    f"{name}: {value} is refused; a number is needed{_with_range(cls.model_fields[name])}."
                )
        return values

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Validate what a form, the API or the command line gave.

        Raises:
            InputError: naming each refused field, its value and the allowed range.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            problems = [field_problem(cls, detail) for detail in error.errors()]
            # One value may break several rules at once: the first sentence about a field is enough.
            first = {problem.field: problem for problem in reversed(problems)}
            raise InputError(*(problem for problem in problems if first[problem.field] is problem)) from None


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
    inner = _settings_in(field) if field is not None and len(detail["loc"]) > 1 else None
    if inner is not None:
        problem = field_problem(inner, {**detail, "loc": detail["loc"][1:]})
        return FieldProblem(name, f"{name}.{problem.message}")
    if detail["type"] == "extra_forbidden" or (field is None and detail["loc"]):
        known = ", ".join(cls.model_fields)
        return FieldProblem(name, f"{_quoted(name)}: there is no such setting; allowed are {known}.")
    if detail["type"] == "missing":
        return FieldProblem(name, f"{name}: a value is required.")
    if detail["type"] == "value_error":
        # What a part with settings of its own says begins with the name of one of those.
        parted = "." if field is not None and _settings_in(field) is not None else ": "
        return FieldProblem(name, said if said.startswith(name) else f"{name}{parted}{said}")
    allowed = allowed_range(field) if field is not None else ""
    whole = (
        "a whole number is needed, " if detail["type"] in {"int_from_float", "int_parsing", "int_parsing_size"} else ""
    )
    hint = f"{whole}allowed is {allowed}" if allowed else detail["msg"].lower()
    return FieldProblem(name, f"{name}: {_quoted(detail.get('input'))!r} is refused; {hint}.")


def _quoted(value: Any) -> str:
    """A value as a refusal shows it; Python itself refuses to write out a number of more than 4,300 digits."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of about {int(value.bit_length() * 0.30103):,} digits"
    try:
        text = str(value)
    except ValueError:
        text = f"a {type(value).__name__} that cannot be written out"
    return text if len(text) <= 60 else text[:57] + "..."


def _takes_numbers(field: FieldInfo) -> bool:
    kinds = {field.annotation, *get_args(field.annotation)}
    return bool(kinds & {int, float}) and bool not in kinds


def _settings_in(field: FieldInfo) -> type[BaseModel] | None:
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _with_range(field: FieldInfo) -> str:
    allowed = allowed_range(field)
    return f", allowed is {allowed}" if allowed else ""
