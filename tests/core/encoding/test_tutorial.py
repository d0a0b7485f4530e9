"""The tutorial encoding: the article's three numbers per note, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.encoding.tutorial import from_triples, to_triples
from core.music.notes import Notes


def test_triples_are_pitch_step_and_duration():
    triples = to_triples(Notes.of([0.5, 0.5, 2.0], [1, 0.25, 3], [64, 60, 72], [80, 80, 80]))
    assert triples.dtype == np.float32
    assert triples.tolist() == [[60, 0.5, 0.25], [64, 0, 1], [72, 1.5, 3]]
    assert to_triples(Notes.empty()).shape == (0, 3)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 300), st.integers(0, 127)), min_size=1, max_size=30))
def test_triples_come_back_as_notes(drawn):
    onset, duration, pitch = np.array(drawn).T
    notes = Notes.of(onset / 64, duration / 64, pitch, np.full(len(drawn), 70))
    back = from_triples(to_triples(notes), velocity=70)
    assert list(back) == list(notes)


def test_what_a_model_gives_is_brought_into_range():
    notes = from_triples([[60.4, -1.0, 0.5], [300.0, 0.5, -2.0], [-5.0, 0.0, 1.0]])
    assert list(notes) == [(0.0, 0.5, 60, 100), (0.5, 1.0, 0, 100), (0.5, 0.0, 127, 100)]


@pytest.mark.parametrize(
    ("triples", "words"), [([[60, 0.5]], "shape"), ([60, 1, 1], "shape"), ([[60, float("nan"), 1]], "not finite")]
)
def test_what_is_no_triple_is_refused(triples, words):
    with pytest.raises(ValueError, match=words):
        from_triples(triples)
