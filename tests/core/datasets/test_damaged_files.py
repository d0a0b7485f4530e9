"""Thousands of damaged files are read or refused with a sentence, in bounded memory and time; `make fuzz`: more."""

from __future__ import annotations

import pytest

from tests.tools.fuzz_reader import fuzz

_FILES = 5_000


@pytest.mark.slow
def test_damaged_files_neither_crash_nor_hang_the_reader() -> None:
    tally = fuzz(_FILES, first_seed=1_000)
    print(tally)
    assert tally.files >= _FILES
    assert tally.zips > _FILES / 5
    assert tally.read > _FILES / 20
    assert tally.refused > _FILES / 2
    assert len(tally.readers) == 1, "a file ended its reader"
