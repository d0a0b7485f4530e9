from __future__ import annotations

import hashlib
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from core.datasets.corpus import SPLITS, Split
from core.datasets.splits import split_pieces

DIGESTS = st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), unique=True, max_size=60)


def digests_of(count: int) -> list[str]:
    return [hashlib.sha256(str(index).encode()).hexdigest() for index in range(count)]


def test_many_pieces_fall_80_10_10() -> None:
    counts = Counter(split_pieces(digests_of(20_000), [None] * 20_000))
    assert abs(counts["train"] / 20_000 - 0.8) < 0.01
    assert abs(counts["validation"] / 20_000 - 0.1) < 0.01


@given(DIGESTS, st.randoms())
def test_the_order_of_the_pieces_does_not_matter(digests: list[str], random: object) -> None:
    shuffled = list(digests)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    nothing: list[Split | None] = [None] * len(digests)
    assert dict(zip(digests, split_pieces(digests, nothing), strict=True)) == dict(
        zip(shuffled, split_pieces(shuffled, nothing), strict=True)
    )


@given(DIGESTS)
def test_small_datasets_can_be_trained_and_validated(digests: list[str]) -> None:
    splits = split_pieces(digests, [None] * len(digests))
    if digests:
        assert "train" in splits
    if len(digests) >= 3:
        assert "validation" in splits


@given(DIGESTS, st.data())
def test_official_splits_stay_but_for_what_a_dataset_cannot_do_without(digests: list[str], data: st.DataObject) -> None:
    official = [data.draw(st.sampled_from([*SPLITS, None])) for _ in digests]
    splits = split_pieces(digests, official)
    moved = [
        (given_split, split)
        for given_split, split in zip(official, splits, strict=True)
        if given_split is not None and given_split != split
    ]
    assert len(moved) <= 2
    assert all(before != "test" for before, _after in moved)
    if {"train", "validation"} <= set(official):
        assert moved == []


def test_a_piece_stays_on_its_side_when_others_join() -> None:
    digests = digests_of(300)
    few = split_pieces(digests[:100], [None] * 100)
    many = split_pieces(digests, [None] * 300)
    assert many[:100] == few
