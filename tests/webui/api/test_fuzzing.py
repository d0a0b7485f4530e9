"""A running server is asked all that its document allows, and more: each answer is documented, none is a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings
from tests.tools.fuzz_api import ask_everything, web_server

_SECONDS = 25


@pytest.mark.slow
def test_no_answer_is_a_fault_and_none_is_undocumented(settings: Settings, tmp_path: Path) -> None:
    with web_server(settings) as address:
        fine, report = ask_everything(address, tmp_path, seconds=_SECONDS, seed=1, examples=12)
    assert fine, report
    assert "Tested: " in report, "schemathesis did not get to its end: " + report


@pytest.mark.parametrize("name", ["bell \x07", "two\x85lines", "del \x7f", "a/b\\c", "\u202egpj.exe"])
def test_a_name_that_no_header_can_carry_is_cleaned_in_downloads(api: Any, content: Any, name: str) -> None:
    model = content.model()
    api.ask("PATCH", f"/models/{model}", json={"name": name})
    header = api.ask("GET", f"/models/{model}/checkpoint").headers["Content-Disposition"]
    assert header.isprintable()
    assert not {"/", "\\"} & set(header.partition("filename=")[2])
