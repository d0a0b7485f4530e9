"""What unrelated real pieces share, and the threshold that stands on it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.evaluation.passages import PassageIndex
from core.evaluation.results import originality_results
from core.evaluation.rules import take_threshold_rule, threshold_rule
from core.evaluation.unrelated import Unrelated, unrelated_passages
from core.music.notes import Notes
from tests.core.evaluation.invented import INDEX, PIECES, piece


def test_the_threshold_is_what_unrelated_pieces_seldom_reach_and_related_ones_do_not_raise_it():
    strangers = [piece(seed, 250) for seed in range(700, 720)]
    moved = Notes(
        *(getattr(PIECES[4], name) for name in ("onset_seconds", "duration_seconds")),
        PIECES[4].pitch + 2,
        PIECES[4].velocity,
    )
    found = unrelated_passages([*strangers, moved], INDEX)
    assert found.related == 1
    assert found.pieces == 21
    assert found.threshold() == 16
    assert max(found.lengths) < found.threshold()
    assert Unrelated.from_json(found.as_json()) == found
    assert unrelated_passages([], INDEX).threshold() == 32


def test_a_piece_that_quotes_a_quarter_of_an_excerpt_is_of_the_same_music():
    strangers = [piece(seed, 250) for seed in range(700, 720)]

    def quoting(notes: int) -> Notes:
        """The first notes of a training piece, and then one of the strangers."""
        own, other = PIECES[4][slice(0, notes)], strangers[0][slice(0, 200 - notes)]
        onsets = np.concatenate((own.onset_seconds, other.onset_seconds + own.onset_seconds[-1] + 1))
        names = ("duration_seconds", "pitch", "velocity")
        return Notes(onsets, *(np.concatenate((getattr(own, name), getattr(other, name))) for name in names))

    some, many = (unrelated_passages([*strangers, quoting(notes)], INDEX) for notes in (45, 60))
    assert (some.related, many.related) == (0, 1)
    assert 40 <= some.lengths[-1] <= 50
    assert many.lengths[-1] < 20


def test_training_pieces_held_against_all_others_fill_up_what_the_threshold_stands_on():
    strangers = [piece(seed, 250) for seed in range(700, 720)]
    training = dict(zip(INDEX.pieces.tolist(), PIECES, strict=True))
    found = unrelated_passages(strangers, INDEX, training)
    # Two of 200 notes of each stranger would be 40 with room for 160: pieces of 250 notes give one each, of 400 two.
    assert len(found.lengths) == 20 + 60
    assert found.of_training == 60
    assert found.pieces == 20
    assert found.threshold() <= 20
    # Held-out pieces that are enough decide alone.
    enough = unrelated_passages([piece(seed, 250) for seed in range(700, 799)], INDEX, training)
    assert (len(enough.lengths), enough.of_training) == (99, 0)
    # One that is there twice is no unrelated piece, though each copy is left out while the other is looked up.
    twice = PassageIndex.build([*PIECES, PIECES[7]], range(100, 131))
    again = unrelated_passages(strangers, twice, {**training, 130: PIECES[7]})
    assert again.of_training == 58
    assert again.related == 0
    many = {number: piece(number, 250) for number in range(300)}
    assert len(unrelated_passages(strangers, INDEX, many).lengths) <= 200


@settings(max_examples=50)
@given(st.lists(st.integers(0, 90), min_size=1, max_size=200), st.integers(0, 200), st.integers(20, 5_000))
def test_a_page_counts_excerpts_by_the_threshold_for_excerpts_whatever_the_takes_length(lengths, training, notes):
    unrelated = Unrelated(tuple(sorted(lengths)), 0, 9, min(training, len(lengths)))
    rule = take_threshold_rule(unrelated.threshold(notes), unrelated)
    assert rule.startswith(f"A take of its length is flagged from {unrelated.threshold(notes)} shared notes on: ")
    reached = unrelated.reached(unrelated.threshold())
    assert f": {reached or 'none'} of {len(lengths)} excerpt" in rule
    assert ("in 200 notes" in rule) == (unrelated.threshold(notes) != unrelated.threshold())
    assert take_threshold_rule(20, None) == "A take of its length is flagged from 20 shared notes on."


@pytest.mark.parametrize(("count", "rank"), [(1, 1), (20, 20), (98, 98), (99, 99), (150, 150), (199, 198), (200, 199)])
def test_the_threshold_is_the_length_that_another_excerpt_exceeds_once_in_a_hundred_at_most(count, rank):
    lengths = tuple(range(100, 100 + 2 * count, 2))
    assert Unrelated(lengths, 0, 1).threshold() == lengths[rank - 1] + 1
    reached = Unrelated(lengths, 0, 1).reached(lengths[rank - 1] + 1)
    assert reached == count - rank
    assert reached <= 0.01 * count


@pytest.mark.parametrize("count", [40, 99, 200])
def test_of_another_excerpt_the_chance_to_be_flagged_is_what_is_said(count):
    generator = np.random.default_rng(count)
    drawn = np.sort(20 + generator.geometric(0.01, (20_000, count)), axis=1)
    flagged = [
        other >= Unrelated(tuple(lengths), 0, 1).threshold()
        for lengths, other in zip(drawn.tolist(), 20 + generator.geometric(0.01, 20_000), strict=True)
    ]
    # One more than the longest of n: 1 in n + 1; the second longest of 200: 2 in 201.
    expected = {40: 1 / 41, 99: 1 / 100, 200: 2 / 201}[count]
    assert np.mean(flagged) == pytest.approx(expected, rel=0.2)


def test_takes_of_any_length_have_the_same_chance_to_share_by_accident():
    """Longest runs of matches in random sequences of other lengths, held against the threshold fitted at 200."""
    generator = np.random.default_rng(3)

    def longest(notes: int, count: int) -> list[int]:
        # Each note goes on with a match with probability 0.85: runs are geometric, as between random sequences.
        matches = generator.random((count, notes)) < 0.85
        runs, best = np.zeros(count, int), np.zeros(count, int)
        for column in matches.T:
            runs = np.where(column, runs + 1, 0)
            best = np.maximum(best, runs)
        return [16 + int(each) for each in best]

    flagged = {notes: [] for notes in (50, 200, 3200)}
    unscaled = []
    for _ in range(12):
        unrelated = Unrelated(tuple(sorted(longest(200, 200))), 0, 1)
        for notes, shares in flagged.items():
            shares.append(np.mean(np.array(longest(notes, 400)) >= unrelated.threshold(notes)))
        unscaled.append(np.mean(np.array(longest(3200, 400)) >= unrelated.threshold()))
    assert all(np.mean(shares) < 0.025 for shares in flagged.values()), flagged
    assert np.mean(unscaled) > 0.1


def test_an_unrelated_search_can_be_interrupted():
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        unrelated_passages([piece(1), piece(2), piece(3)], INDEX, between=stop)


def test_the_rule_says_how_many_real_excerpts_it_stands_on_in_results_of_each_version():
    few = originality_results([9, 40], [200, 200], Unrelated((10, 12, 30), 0, 3))
    assert few["flagged"] == 1
    assert threshold_rule(few) == (
        "A take is flagged from 31 shared notes on: none of 3 excerpts of unrelated real pieces "
        "(3 held out) shares as many."
    )
    many = originality_results([9], [200], Unrelated(tuple(range(200)), 0, 25))
    assert "flagged from 199 shared notes on: 1 of 200 excerpts" in threshold_rule(many)
    long = originality_results([230], [2000], Unrelated(tuple(range(200)), 0, 25, 140))
    assert long["flagged"] == 0
    assert (
        "1 of 200 excerpts of unrelated real pieces (60 held out, 140 of training pieces, each held against all "
        "others) shares 199 or more in 200 notes, and 2,000 notes have more room"
    ) in threshold_rule(long)
    assert "no unrelated real piece" in threshold_rule(originality_results([], [], Unrelated((), 0, 0)))
    first = {"threshold": 24, "lengths": [9, 23, 24, 30]}
    assert threshold_rule(first) == (
        "A take is flagged from 24 shared notes on: 2 of 4 excerpts of unrelated real pieces (4 held out) share as "
        "many."
    )
