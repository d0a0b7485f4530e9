"""Batches of event windows: within one piece, decided by seed and step, transposed within range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from core.datasets.corpus import Corpus
from core.encoding.performance import BEGIN, END, TIME_SHIFT, encode
from core.music.notes import Notes
from core.training.settings import LstmSettings
from core.training.tutorial_windows import spread
from core.training.windows import PADDING, EventWindows


def _plain(window: int, **values: object) -> LstmSettings:
    return LstmSettings.parse({"window": window, "transpose_semitones": 0, "stretch": 0, **values})


@given(st.integers(8, 200), st.integers(0, 2**32 - 1), st.integers(0, 10_000))
@budget(max_examples=60, deadline=None)
def test_every_window_is_a_cut_of_one_piece(window: int, seed: int, step: int) -> None:
    pieces = [_piece(number, size) for number, size in enumerate((1, 5, 40, 90))]
    streams = [encode(piece).astype(np.int32) for piece in pieces]
    batch = EventWindows(pieces, _plain(window, seed=seed, batch_size=9)).batch(step)
    assert batch.events.shape == batch.targets.shape == (9, window)
    for events, targets in zip(batch.events, batch.targets, strict=True):
        count = int((targets != PADDING).sum())
        assert (targets[count:] == PADDING).all()
        cut = np.concatenate((events[:1], targets[:count])).tobytes()
        assert (events[1:count] == targets[: count - 1]).all()
        found = [stream for stream in streams if cut in stream.tobytes()]
        assert found
        # Only a piece shorter than the window leaves it partly empty.
        assert count == window or any(stream.size - 1 == count for stream in found)
    assert batch.counted == (batch.targets != PADDING).sum()
    assert batch.notes == ((batch.targets >= 0) & (batch.targets < 128)).sum()


def test_seed_and_step_alone_decide(make_corpus: Callable[..., Corpus]) -> None:
    pieces = list(make_corpus().pieces("train"))
    settings = LstmSettings(window=32, seed=3)
    first, second = EventWindows(pieces, settings), EventWindows(pieces, settings)
    later = second.batch(7)  # asked for in another order
    assert (first.batch(0).events == second.batch(0).events).all()
    assert (first.batch(7).events == later.events).all()
    assert (first.batch(7).events != first.batch(8).events).any()
    other = EventWindows(pieces, LstmSettings(window=32, seed=4))
    assert (other.batch(7).events != later.events).any()


def test_every_place_of_a_piece_is_drawn(make_piece: Callable[[int, int], Notes]) -> None:
    piece = make_piece(0, 50)
    windows = EventWindows([piece], _plain(16, batch_size=64))
    seen = np.concatenate([windows.batch(step).targets.ravel() for step in range(30)])
    firsts = np.concatenate([windows.batch(step).events[:, 0] for step in range(30)])
    lasts = np.concatenate([windows.batch(step).targets[:, -1] for step in range(30)])
    assert set(np.unique(seen)) == set(np.unique(encode(piece)[1:]).tolist())
    # Beginnings and ends come about as often as half a window's places.
    assert (firsts == BEGIN).mean() == pytest.approx(8 / encode(piece).size, rel=0.5)
    assert (lasts == END).mean() == pytest.approx(8 / encode(piece).size, rel=0.5)


def test_transposition_moves_whole_rows_within_the_range() -> None:
    high = Notes.of(np.arange(40) / 4, np.full(40, 0.2), np.tile([125, 127, 60, 126], 10), np.full(40, 80))
    plain = EventWindows([high], _plain(64, batch_size=64)).batch(0)
    moved = EventWindows([high], _plain(64, batch_size=64, transpose_semitones=6)).batch(0)
    pitched = (plain.targets >= 0) & (plain.targets < TIME_SHIFT)
    difference = np.where(pitched, moved.targets - plain.targets, 0)
    assert (moved.targets[~pitched] == plain.targets[~pitched]).all()
    shifts = [np.unique(row[mask]) for row, mask in zip(difference, pitched, strict=True)]
    assert all(shift.size == 1 for shift in shifts)
    # 127 is among the pitches of every window, so none can move up.
    assert {int(shift[0]) for shift in shifts} == set(range(-6, 1))


def test_stretch_changes_the_times_only(make_piece: Callable[[int, int], Notes]) -> None:
    piece = make_piece(1, 60)
    windows = EventWindows([piece], _plain(4096, batch_size=40, stretch=0.2))
    batch = windows.batch(0)
    lengths = set()
    for row in batch.targets:
        notes = row[(row >= 0) & (row < TIME_SHIFT)]
        assert sorted(notes) == sorted(encode(piece)[(encode(piece) < TIME_SHIFT)].tolist())
        shifts = row[(row >= TIME_SHIFT) & (row < 356)] - TIME_SHIFT + 1
        lengths.add(round(float(shifts.sum()) / 100 / piece.end_seconds, 1))
    assert lengths == {0.8, 0.9, 1.0, 1.1, 1.2}


def _piece(seed: int, notes: int) -> Notes:
    generator = np.random.default_rng(seed)
    return Notes.of(
        np.cumsum(generator.random(notes)),
        generator.random(notes),
        generator.integers(30, 90, notes),
        np.full(notes, 64),
    )


def test_held_out_windows_are_spread_over_all_pieces() -> None:
    starts = np.arange(1_000, dtype=np.int64) * 3
    some = spread(starts, 7)
    assert some.tolist() == sorted(set(some.tolist()))
    assert len(some) == 7
    assert set(some) <= set(starts)
    assert np.diff(some).max() - np.diff(some).min() <= 3
    assert spread(starts, 1_000) is starts
