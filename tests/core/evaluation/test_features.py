"""The distributions of a piece against a count by hand, note by note."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.features import FEATURES, features_of, table_of
from core.music.notes import Notes

# The classes as a musician would write them: up to 30 ms, up to 60 ms, ... from 4 s on.
LIMITS = [0.03, 0.06, 0.09, 0.125, 0.18, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0]

steps = st.lists(
    st.tuples(st.sampled_from([0.05, 0.1, 0.2, 0.4, 0.6, 1.2, 5.0]), st.floats(0.01, 9.0), st.integers(21, 108)),
    min_size=1,
    max_size=40,
)


def notes_of(steps: list[tuple[float, float, int]]) -> Notes:
    gaps, lengths, pitches = zip(*steps, strict=True)
    return Notes.of(np.cumsum(gaps) - gaps[0], np.array(lengths), list(pitches), [64] * len(steps))


def class_of(seconds: float) -> int:
    return sum(seconds >= limit for limit in LIMITS)


def shares(counted: Counter[int], size: int) -> list[float]:
    total = sum(counted.values())
    return [counted[number] / total for number in range(size)] if total else [np.nan] * size


@given(steps)
def test_distributions_are_those_counted_by_hand(steps):
    notes = notes_of(steps)
    found = features_of(notes)
    lengths = [class_of(float(seconds)) for seconds in notes.duration_seconds]
    classes = [int(pitch) % 12 for pitch in notes.pitch]
    gaps = [class_of(float(b - a)) for a, b in pairwise(notes.onset_seconds)]
    by_hand = {
        "pitch_class_histogram": shares(Counter(classes), 12),
        "pitch_class_transitions": shares(Counter(12 * a + b for a, b in pairwise(classes)), 144),
        "inter_onset_histogram": shares(Counter(gaps), 14),
        "note_length_histogram": shares(Counter(lengths), 14),
        "note_length_transitions": shares(Counter(14 * a + b for a, b in pairwise(lengths)), 196),
    }
    assert set(by_hand) == {name for name, feature in FEATURES.items() if feature.vector}
    for name, expected in by_hand.items():
        np.testing.assert_allclose(found[name], expected, err_msg=name)


def test_the_order_of_lengths_tells_pieces_apart_that_have_the_same_lengths():
    pitches = [60, 62] * 10
    turns = Notes.of(np.arange(20) * 0.6, [0.1, 0.5] * 10, pitches, [64] * 20)
    halves = Notes.of(np.arange(20) * 0.6, [0.1] * 10 + [0.5] * 10, pitches, [64] * 20)
    table = table_of([features_of(turns), features_of(halves)])
    assert (table["note_length_histogram"][0] == table["note_length_histogram"][1]).all()
    assert np.abs(table["note_length_transitions"][0] - table["note_length_transitions"][1]).sum() > 1.5


@pytest.mark.parametrize("count", [0, 1])
def test_what_a_piece_is_too_short_for_is_not_a_number(count):
    one = Notes.of(np.zeros(count), np.ones(count), [60] * count, [64] * count)
    found = features_of(one)
    assert np.isnan(found["note_length_transitions"]).all()
    assert np.isnan(found["note_length_histogram"]).all() == (count == 0)
