"""Seeds as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sampling.seeds import LARGEST_SEED, MOST_SEEDS, format_seeds, parse_seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0", (0,)),
        ("0-3", (0, 1, 2, 3)),
        (" 1, 5 ,9 ", (1, 5, 9)),
        ("9,0-2,5-5", (9, 0, 1, 2, 5)),
        ("007", (7,)),
        ("4294967294-4294967295", (LARGEST_SEED - 1, LARGEST_SEED)),
    ],
)
def test_lists_and_ranges(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("9-1", "seeds: '9-1' runs backwards; write '1-9'."),
        ("3,0-5", "seeds: 3 is named twice"),
        ("", "seeds: '' is not understood; allowed are seeds from 0 to 4294967295"),
        ("1,,2", "seeds: '' is not understood"),
        ("-1", "seeds: '-1' is not understood"),
        ("1.5", "seeds: '1.5' is not understood"),
        ("1e400", "seeds: '1e400' is not understood"),
        ("²", "seeds: '²' is not understood"),
        ("٣", "seeds: '٣' is not understood"),
        ("4294967296", "seeds: 4294967296 is too large"),
        ("9" * 5000, "seeds: '9999999999"),
        ("0-100000", "seeds: '0-100000' are too many"),
        ("0-4294967295", "seeds: '0-4294967295' are too many"),
        ("0 random", "seeds: 0 random ones are refused"),
        ("100001 random", "seeds: 100001 random ones are refused"),
        ("9" * 5000 + " random", "seeds: 9999999999"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="seeds: ") as refused:
        parse_seeds(text)
    assert str(refused.value).startswith(said)
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("count", [1, 8, 1_000, 1_001, MOST_SEEDS])
def test_random_ones_differ_and_fit(count: int) -> None:
    first, second = parse_seeds(f"{count} random"), parse_seeds(f" {count} Random ones ")
    assert len(set(first)) == len(set(second)) == count
    assert first != second
    assert 0 <= min(first) <= max(first) <= LARGEST_SEED
    # However many there are, they can be kept with the generation.
    assert len(format_seeds(first)) < 12_000


@given(st.lists(st.integers(0, LARGEST_SEED) | st.integers(0, 30), min_size=1, max_size=60, unique=True))
def test_what_is_written_is_read_back(seeds: list[int]) -> None:
    text = format_seeds(tuple(seeds))
    assert parse_seeds(text) == tuple(seeds)
    assert len(text) <= len(",".join(map(str, seeds)))


@given(st.text(max_size=30) | st.from_regex(r"[0-9 ,-]{0,30}"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        seeds = parse_seeds(text)
    except ValueError:
        return
    assert 1 <= len(seeds) == len(set(seeds)) <= MOST_SEEDS
    assert 0 <= min(seeds) <= max(seeds) <= LARGEST_SEED
