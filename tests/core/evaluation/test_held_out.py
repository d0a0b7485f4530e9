"""Held-out pieces are held out: refused where a training piece is among them, counted where a model has seen them."""

from __future__ import annotations

import numpy as np
import pytest

from core.datasets.corpus import Corpus
from core.errors import ConflictError
from core.evaluation.held_out import held_out_pieces
from core.music.notes import Notes


def piece(seed: int) -> Notes:
    generator = np.random.default_rng(seed)
    return Notes.of(np.arange(30) * 0.25, np.full(30, 0.2), generator.integers(40, 90, 30), np.full(30, 64))


def louder(notes: Notes) -> Notes:
    return Notes.of(notes.onset_seconds, notes.duration_seconds, notes.pitch, notes.velocity + 1)


def test_the_pieces_of_the_split_are_given_without_empty_ones():
    corpus = Corpus.of([piece(0), piece(1), piece(2), Notes.empty()], ["train", "validation", "test", "test"])
    for split, seed in (("validation", 1), ("test", 2)):
        found = held_out_pieces(corpus, split)
        assert [each.pitch.tolist() for each in found.pieces] == [piece(seed).pitch.tolist()]
        assert found.seen == 0


def test_a_split_without_pieces_is_refused():
    with pytest.raises(ConflictError, match="no test piece to measure on"):
        held_out_pieces(Corpus.of([piece(0), piece(1)], ["train", "validation"]), "test")


def test_a_training_piece_among_the_held_out_ones_is_refused_and_one_that_differs_in_a_velocity_is_not():
    pieces = [piece(0), piece(1), piece(2), piece(1)]
    with pytest.raises(ConflictError, match="1 of the validation pieces of this dataset are training pieces too"):
        held_out_pieces(Corpus.of(pieces, ["train", "train", "validation", "validation"]), "validation")
    others = [piece(0), piece(1), louder(piece(1))]
    assert len(held_out_pieces(Corpus.of(others, ["train", "train", "validation"]), "validation").pieces) == 1


def test_pieces_that_the_model_was_trained_on_elsewhere_are_counted():
    own = Corpus.of([piece(5), piece(6), piece(7)], ["train", "train", "validation"])
    other = Corpus.of([piece(0), piece(6), piece(7), piece(8)], ["train", "validation", "validation", "validation"])
    # Piece 7 was held out there too: only what was trained on counts.
    assert held_out_pieces(other, "validation", own).seen == 1
    assert held_out_pieces(other, "validation").seen == 0
