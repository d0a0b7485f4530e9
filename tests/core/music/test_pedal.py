"""The pedal's fold against a loop that looks at every pedal movement for every note."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.music.pedal import fold_pedal, pedal_intervals

LAST = 100


def fold_slowly(rows, movements):
    ends = []
    for onset, end, pitch in rows:
        down = False
        for tick, value in movements:
            if tick <= end:
                down = value >= 64
        if not down:
            ends.append(end)
            continue
        release = next((tick for tick, value in movements if tick > end and value < 64), LAST)
        again = min((other for other, _, same in rows if same == pitch and other > onset), default=LAST + 1)
        ends.append(max(end, min(release, again)))
    return ends


@given(
    rows=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30), st.integers(60, 62)), max_size=20),
    movements=st.lists(st.tuples(st.integers(0, 90), st.sampled_from((0, 63, 64, 127))), max_size=15),
)
def test_ends_are_those_of_a_slow_loop(rows, movements):
    rows = sorted((onset, onset + length, pitch) for onset, length, pitch in rows)
    movements = sorted(movements, key=lambda movement: movement[0])
    onset, end, pitch = np.array(rows, np.int64).reshape(-1, 3).T
    times, values = np.array(movements, np.int64).reshape(-1, 2).T
    presses, releases = pedal_intervals(times, values, LAST)
    folded = fold_pedal(onset, end, pitch.astype(np.uint8), presses, releases)
    assert folded.tolist() == fold_slowly(rows, movements)


def test_a_pedal_moves_before_the_keys_of_its_instant():
    onset, end, pitch = np.array([0, 0]), np.array([10, 20]), np.array([60, 62], np.uint8)
    presses, releases = pedal_intervals(np.array([10, 20]), np.array([64, 63]), LAST)
    assert fold_pedal(onset, end, pitch, presses, releases).tolist() == [20, 20]


def test_a_pedal_that_is_never_released_is_released_at_the_end():
    presses, releases = pedal_intervals(np.array([5, 6, 7]), np.array([127, 0, 100]), LAST)
    assert (presses.tolist(), releases.tolist()) == ([5, 7], [6, LAST])


def test_no_pedal_changes_nothing():
    nothing = np.array([], np.int64)
    presses, releases = pedal_intervals(nothing, nothing, LAST)
    assert not len(presses)
    end = np.array([3, 4])
    assert fold_pedal(np.array([0, 1]), end, np.array([1, 1], np.uint8), presses, releases).tolist() == [3, 4]
