"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real MIDI data beside the checkout; tests that need it are skipped, with a word, without it."""
    if not _SHARED_DATA.is_dir():
        pytest.skip("the real data folder is not beside this checkout: this test ran without it")
    return _SHARED_DATA
