"""Forms made from settings classes: one declaration gives the field, its limits, its help and its refusal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flask import request
from pydantic.fields import FieldInfo

from core.errors import InputError
from core.fields import PersonSettings, allowed_range


@dataclass(frozen=True, slots=True)
class FormField:
    """One field as the templates draw it; `kind` decides the control."""

    name: str
    label: str
    help: str
    unit: str
    kind: Literal["integer", "decimal", "text", "choice", "switch"]
    choices: dict[str, str]
    default: Any
    minimum: float | None
    maximum: float | None
    longest: int | None
    allowed: str
    advanced: bool


def form_fields(cls: type[PersonSettings], leave_out: Iterable[str] = ()) -> list[FormField]:
    """The fields of a settings class in their order."""
    skipped = set(leave_out)
    return [_form_field(name, info) for name, info in cls.model_fields.items() if name not in skipped]


def form_values(
    cls: type[PersonSettings], names: Iterable[str] | None = None, sent: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What a form, the posted one or another, says about a class's fields.

    A switch that is off is sent by no browser, so it is added.
    """
    form = request.form if sent is None else sent
    values: dict[str, str] = {}
    for name, info in cls.model_fields.items():
        if names is not None and name not in names:
            continue
        if name in form:
            values[name] = form[name]
        elif info.annotation is bool and f"{name}.shown" in form:
            values[name] = "false"
    return {name: text for name, text in values.items() if text.strip() or cls.model_fields[name].annotation is str}


def field_errors(error: Exception | None) -> dict[str, str]:
    """The sentence for each refused field; errors about no field are under the empty name."""
    if isinstance(error, InputError):
        return {problem.field: _without_name(problem.field, problem.message) for problem in error.problems}
    return {} if error is None else {"": str(error)}


def as_text(value: Any) -> str:
    """A stored value as a form field shows it: `0.004`, `0.8, 1, 1.2`, `true`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")  # to the last digit: it may be sent again as it stands
    if isinstance(value, list | tuple):
        return ", ".join(as_text(item) for item in value)
    return "" if value is None else str(value)


def text_values(values: Mapping[str, Any]) -> dict[str, str]:
    """`as_text` of each value."""
    return {name: as_text(value) for name, value in values.items()}


def _form_field(name: str, info: FieldInfo) -> FormField:
    extra: dict[str, Any] = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    kinds: dict[Any, Literal["integer", "decimal", "switch"]] = {int: "integer", float: "decimal", bool: "switch"}
    limits = {
        key: getattr(m, key) for m in info.metadata for key in ("ge", "gt", "le", "lt", "max_length") if hasattr(m, key)
    }
    return FormField(
        name=name,
        label=info.title or name,
        help=info.description or "",
        unit=extra.get("unit", ""),
        kind="choice" if extra.get("choices") else kinds.get(info.annotation, "text"),
        choices=extra.get("choices") or {},
        default=None if info.is_required() else info.default,
        minimum=limits.get("ge", limits.get("gt")),
        maximum=limits.get("le", limits.get("lt")),
        longest=limits.get("max_length"),
        allowed=allowed_range(info),
        advanced=bool(extra.get("advanced")),
    )


def _without_name(field: str, message: str) -> str:
    """The field stands right above its sentence, so its technical name at the beginning is left out."""
    rest = message.removeprefix(f"{field}: ")
    return rest[:1].upper() + rest[1:]
