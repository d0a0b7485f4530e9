"""One declaration of a setting gives its range in words, and refusals that name field, value and range."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import model_validator

from core.errors import InputError
from core.fields import PersonSettings, allowed_range, setting
from core.sampling.settings import GenerationSettings
from core.training.settings import FAMILIES


class Inner(PersonSettings):
    """A part with settings of its own."""

    size: int = setting(..., "Size", ge=1, le=9)


class Sample(PersonSettings):
    """One setting of each kind."""

    count: int = setting(5, "Count", ge=1, le=10)
    share: float = setting(0.5, "Share", gt=0, lt=1)
    least: float = setting(2, "Least", ge=2)
    below: int = setting(0, "Below", lt=7)
    kind: Literal["a", "b"] = setting("a", "Kind", choices={"a": "A", "b": "B"})
    yes: bool = setting(False, "Yes")
    maybe: int | None = setting(None, "Maybe", ge=0)
    inner: Inner | None = setting(None, "Inner")
    name: str = setting("", "Name", max_length=5)

    @model_validator(mode="after")
    def _together(self) -> Sample:
        if self.kind == "b" and self.count == 7:
            raise ValueError("count: 7 does not go with kind b.")
        return self


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"count": 11}, "count: '11' is refused; allowed is 1 to 10."),
        ({"count": "x"}, "count: 'x' is refused; a whole number is needed, allowed is 1 to 10."),
        ({"count": 2.5}, "count: '2.5' is refused; a whole number is needed, allowed is 1 to 10."),
        ({"count": True}, "count: True is refused; a number is needed, allowed is 1 to 10."),
        ({"count": -(10**5000)}, "count: 'a number of about 5,000 digits' is refused; allowed is 1 to 10."),
        ({"count": "9" * 5000}, f"count: '{'9' * 57}...' is refused; a whole number is needed, allowed is 1 to 10."),
        ({"share": 1}, "share: '1' is refused; allowed is above 0 to below 1."),
        ({"share": float("nan")}, "share: 'nan' is refused; allowed is above 0 to below 1."),
        ({"least": "-inf"}, "least: '-inf' is refused; allowed is at least 2."),
        ({"below": 7}, "below: '7' is refused; allowed is below 7."),
        ({"kind": "c"}, "kind: 'c' is refused; allowed is one of a, b."),
        ({"maybe": False}, "maybe: False is refused; a number is needed, allowed is at least 0."),
        ({"name": "abcdef"}, "name: 'abcdef' is refused; string should have at most 5 characters."),
        ({"inner": {"size": 0}}, "inner.size: '0' is refused; allowed is 1 to 9."),
        ({"inner": {}}, "inner.size: a value is required."),
        ({"inner": {"size": True}}, "inner.size: True is refused; a number is needed, allowed is 1 to 9."),
        ({"inner": {"size": 1, "more": 2}}, "inner.more: there is no such setting; allowed are size."),
        ({"kind": "b", "count": 7}, "count: 7 does not go with kind b."),
    ],
)
def test_refusals_name_field_value_and_range(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        Sample.parse(values)
    (problem,) = refused.value.problems
    assert problem.message == said
    assert problem.field == next(iter(values)) if "b" not in values.values() else "count"


def test_every_refused_field_is_named_once() -> None:
    with pytest.raises(InputError) as refused:
        Sample.parse({"count": 0, "share": 2, "stranger": 1, "name": " " * 9 + "abcdef"})
    assert [problem.field for problem in refused.value.problems] == ["count", "share", "name", "stranger"]


def test_text_of_a_form_becomes_numbers() -> None:
    sample = Sample.parse({"count": " 7 ", "share": "0.25", "yes": "on", "maybe": "3", "name": "  a  "})
    assert (sample.count, sample.share, sample.yes, sample.maybe, sample.name) == (7, 0.25, True, 3, "a")


def test_a_range_is_known_for_every_number_that_people_set() -> None:
    for cls in (*FAMILIES.values(), GenerationSettings):
        for name, field in cls.model_fields.items():
            if field.annotation in (int, float):
                assert " to " in allowed_range(field), name


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*FAMILIES.values(), GenerationSettings]), st.data())
def test_nothing_but_sentences_comes_of_anything(cls: type[PersonSettings], data: st.DataObject) -> None:
    names = st.sampled_from(sorted(cls.model_fields)) | st.text(max_size=8)
    values = data.draw(st.dictionaries(names, ANYTHING, max_size=4))
    try:
        accepted = cls.parse(values)
    except InputError:
        return
    # What is accepted is stored as JSON and means the same when it is read again.
    assert cls.model_validate_json(accepted.model_dump_json()) == accepted
