"""Estimates before submitting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.training.estimate import estimate_seconds, fitting_steps, seen_step_seconds
from core.training.settings import LstmSettings


def test_a_time_limit_ends_what_would_take_longer() -> None:
    stats = {"notes": 20_000.0, "held_out_events": 30_000.0}
    whole = LstmSettings(steps=10_000, evaluate_every=1_000)
    seconds = estimate_seconds(whole, stats, 0.2)
    assert fitting_steps(whole, stats, 0.2) == 10_000
    half = whole.model_copy(update={"minutes": seconds / 120})
    assert estimate_seconds(half, stats, 0.2) == pytest.approx(seconds / 2)
    assert fitting_steps(half, stats, 0.2) == pytest.approx(5_000 * 0.9, rel=0.05)
    assert estimate_seconds(half, stats, 0.02) == estimate_seconds(whole, stats, 0.02)
    assert fitting_steps(half, stats, 0.02) == 10_000
    assert fitting_steps(whole.model_copy(update={"minutes": 0.01}), stats, 0.2) == 1
    assert fitting_steps(half, {}, 0.2) > 0


def test_figures_take_their_time_and_that_of_all_pieces_too() -> None:
    settings = LstmSettings(steps=1_000, evaluate_every=500, batch_size=16, window=64)
    alone = estimate_seconds(settings, {}, 0.1)
    some = estimate_seconds(settings, {"held_out_events": 100_000.0}, 0.1)
    many = estimate_seconds(settings, {"held_out_events": 1_000_000.0}, 0.1)
    each = 0.4 * 100_000 / 1024 * 0.1
    assert some - alone == pytest.approx(2 * each)
    assert many - alone == pytest.approx(4 * each + 10 * each)


@given(
    st.floats(0.001, 10), st.integers(0, 3_000_000), st.lists(st.integers(1, 500), min_size=2, max_size=12), st.data()
)
def test_what_a_step_took_is_found_again_in_a_curve(
    step_seconds: float, held_out: int, intervals: list[int], data: st.DataObject
) -> None:
    settings, stats = LstmSettings(batch_size=16, window=64), {"held_out_events": float(held_out)}
    figure = 0.4 * min(held_out, 200_000) / 1024
    # Pauses and new starts lie behind less than half of the intervals.
    late = data.draw(st.sets(st.integers(0, len(intervals) - 1), max_size=(len(intervals) - 1) // 2))
    step, seconds = 10, 7.0
    points = [(step, seconds)]
    for place, steps in enumerate(intervals):
        step += steps
        seconds += (steps + figure) * step_seconds + (1_000 if place in late else 0)
        points.append((step, seconds))
    found = seen_step_seconds(settings, stats, points)
    assert found == pytest.approx(step_seconds, rel=1e-6)
    assert seen_step_seconds(settings, stats, points[:1]) == seen_step_seconds(settings, stats, []) == 0
    assert seen_step_seconds(settings, stats, [(10, 50.0), (20, 9.0)]) == 0  # of a clock that began anew
