"""Batches of event windows: within one piece, decided by seed and step, transposed within range."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.datasets.corpus import Corpus
from core.encoding.performance import BEGIN, END, TIME_SHIFT, encode
from core.encoding.sounding import NEVER, Facts, facts_after, no_facts
from core.music.notes import Notes
from core.training.settings import LstmSettings
from core.training.tutorial_windows import spread
from core.training.windows import PADDING, EventWindows


def _plain(window: int, **values: object) -> LstmSettings:
    return LstmSettings.parse({"window": window, "transpose_semitones": 0, "stretch": 0, **values})


@given(st.integers(8, 200), st.integers(0, 2**32 - 1), st.integers(0, 10_000))
@budget(max_examples=60)
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


def test_a_prepared_batch_is_that_of_its_step_and_of_no_other() -> None:
    pieces = [_piece(number, 90) for number in range(3)]
    windows, others = (EventWindows(pieces, LstmSettings(window=24, batch_size=5)) for _ in range(2))
    for prepared, asked in ((3, 3), (3, 4), (4, 4)):
        windows.prepare(prepared)
        ours, theirs = windows.batch(asked), others.batch(asked)
        assert (ours.events == theirs.events).all()
        assert (ours.targets == theirs.targets).all()
        assert ours.facts is not None
        assert all((values == theirs.facts[name]).all() for name, values in ours.facts.items())
    assert (windows.batch(4).events == windows.batch(4).events).all()
    assert (windows.batch(3).events != windows.batch(4).events).any()


@given(st.integers(8, 60), st.integers(0, 1000))
@budget(max_examples=20)
def test_facts_are_those_of_the_whole_piece_before_the_window(window: int, step: int) -> None:
    pieces = [_piece(number, size) for number, size in enumerate((3, 300))]  # the longer of more than one kept place
    streams = [encode(piece).astype(np.int32) for piece in pieces]
    assert streams[1].size > 1_100
    moved = EventWindows(pieces, _plain(window, batch_size=12, transpose_semitones=12)).batch(step)
    assert moved.facts is not None
    for row, (events, targets) in enumerate(zip(moved.events, moved.targets, strict=True)):
        count = int((targets != PADDING).sum())
        cut = np.concatenate((events[:1], targets[:count]))
        ours = {name: values[row] for name, values in moved.facts.items()}
        assert any(_same(ours, expected) for expected in _possible_facts(streams, cut))
    parts = moved.split(3)
    assert [part.counted for part in parts] == [part.counted for part in (moved.first(4), *parts[1:])]
    assert sum(part.counted for part in parts) == moved.counted
    for part, expected in zip(parts, np.split(moved.facts["last"], 3), strict=True):
        assert part.facts is not None
        np.testing.assert_array_equal(part.facts["last"], expected)


def _possible_facts(streams: list[NDArray[np.int32]], cut: NDArray[np.int32]) -> Iterator[Facts]:
    """Of each place of a piece that some transposition makes the window, what sounds there."""
    for stream in streams:
        views = np.lib.stride_tricks.sliding_window_view(stream, cut.size) if stream.size >= cut.size else []
        for place, view in enumerate(views):
            difference = cut.astype(int) - view
            pitched = view < TIME_SHIFT
            shift = int(difference[pitched][0]) if pitched.any() else 0
            if (difference[~pitched] == 0).all() and (difference[pitched] == shift).all():
                facts = facts_after(stream[:place], no_facts(1))
                last = np.full(128, NEVER)
                for pitch in range(128):
                    if 0 <= pitch + shift < 128:
                        last[pitch + shift] = facts["last"][0, pitch]
                reached = int(facts["reached"][0])
                yield {
                    "last": last,
                    "reached": np.array(reached if reached < 0 else reached + shift),
                    **_velocity(facts),
                }


def _velocity(facts: Facts) -> Facts:
    return {"velocity": facts["velocity"][0]}


def _same(ours: Facts, theirs: Facts) -> bool:
    return all((ours[name] == theirs[name]).all() for name in ours)


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
