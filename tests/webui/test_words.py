"""Numbers, sizes, durations and moments as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from webui.words import ago, byte_size, clock, compact, duration, figure, number, plural, sentence


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.01, "under 0.1 s"),
        (-90, "0 s"),
        (0, "0 s"),
        (4.24, "4.2 s"),
        (5.01, "5 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (999, "999"), (1234, "1.23 k"), (99_950, "100.0 k"), (6_298_753, "6.30 M"), (-5, "-5")],
)
def test_compact(value: float, words: str) -> None:
    assert compact(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2.0777, "2.078"),
        (0.012345, "0.01235"),
        (120.0, "120"),
        (12345.6, "12,346"),
        (123.456, "123.5"),
        (1.0, "1"),
        (1e-7, "1e-07"),
        (-1.776e-15, "0"),
    ],
)
def test_figure(value: float, words: str) -> None:
    assert figure(value) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (17, "17 bytes"),
        (4300, "4.2 kB"),
        (2**20, "1 MB"),
        (512 * 2**20, "512 MB"),
        (58_416_533, "56 MB"),
        (3 * 2**30, "3 GB"),
    ],
)
def test_byte_size(count: int, words: str) -> None:
    assert byte_size(count) == words


def test_the_others() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    ages = {5: "just now", 59: "59 s ago", 300: "5 min ago", 10_800: "3 h ago", 172_800: "2 d ago"}
    for seconds, words in ages.items():
        assert ago(now - timedelta(seconds=seconds), now) == words
    assert ago(now - timedelta(days=60), now) == "2025-12-31"
    assert [clock(7.2), clock(200), clock(3723)] == ["0:07", "3:20", "1:02:03"]
    assert [plural(1, "take"), plural(1000, "take"), plural(2, "match", "matches")] == [
        "1 take",
        "1,000 takes",
        "2 matches",
    ]
    assert [number(12345), number(None), figure(None), duration(None)] == ["12,345"] + ["\N{EN DASH}"] * 3


def test_a_sentence_keeps_its_names() -> None:
    assert sentence("starts on Monday at 19:36 UTC") == "Starts on Monday at 19:36 UTC"
    assert sentence("") == ""
