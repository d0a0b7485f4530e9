"""What leans on a model's choice does what it says, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.modeling.checkpoints import Checkpoint
from core.music.notes import Notes
from core.ready.shipped import ready_checkpoint
from core.sampling.composer import Composer
from core.sampling.settings import TakeSettings
from core.sampling.shaping import Shaping, after_note, after_time, guard_pitches, rule_out_unlikely

pytestmark = pytest.mark.slow


def compose(composer: Any, count: int, wanted: TakeSettings, primer: Notes | None = None) -> list[Notes]:
    takes: dict[int, Notes] = {}
    composer.compose(
        [(seed, 1.0) for seed in range(count)],
        wanted,
        primer,
        lambda at, notes: takes.update({at: notes}),
        lambda: False,
    )
    return [takes[at] for at in range(count)]


def density_of(takes: list[Notes]) -> float:
    return sum(len(take) for take in takes) / sum(float(take.onset_seconds[-1]) for take in takes)


def pace_of(takes: list[Notes]) -> float:
    return sum(len(np.unique(take.onset_seconds)) for take in takes) / sum(float(t.onset_seconds[-1]) for t in takes)


@pytest.mark.parametrize("family", ["events", "tutorial"])
def test_pitches_stay_in_their_range(family: str, request: pytest.FixtureRequest, primer: Notes) -> None:
    composer = request.getfixturevalue(f"{family}_composer")
    for low, high in ((60, 71), (64, 64)):
        for take in compose(composer, 6, TakeSettings(length=40, lowest_pitch=low, highest_pitch=high), primer):
            assert len(take) == 40
            assert low <= take.pitch.min() <= take.pitch.max() <= high


@pytest.mark.parametrize("family", ["events", "tutorial"])
def test_no_note_outlasts_the_limit_that_is_heard(family: str, request: pytest.FixtureRequest, primer: Notes) -> None:
    composer = request.getfixturevalue(f"{family}_composer")
    free = compose(composer, 4, TakeSettings(length=60), primer)
    assert max(take.duration_seconds.max() for take in free) > 1.5
    for tempo in (0.5, 2.0):
        takes = compose(composer, 4, TakeSettings(length=60, longest_note=1.5, tempo_factor=tempo), primer)
        assert 0.5 < max(take.duration_seconds.max() for take in takes) <= 1.5 + 0.02 / tempo


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_density_leans_towards_its_target(plain_events_composer: Any, factor: float) -> None:
    own = density_of(compose(plain_events_composer, 8, TakeSettings(length=200)))
    wanted = own * factor
    got = density_of(compose(plain_events_composer, 8, TakeSettings(length=200, density=wanted)))
    assert abs(np.log(got / wanted)) < 0.3 * abs(np.log(own / wanted))


@pytest.fixture(scope="module")
def shipped_composer() -> Composer:
    return Composer(Checkpoint.from_bytes(ready_checkpoint()))


# By itself it has 6.9 notes and 2.4 moments a second.
@pytest.mark.parametrize(
    ("wanted", "rate_of"),
    [
        ({"density": 3.5}, density_of),
        ({"density": 10.0}, density_of),
        ({"pace": 1.2}, pace_of),
        ({"pace": 5.0}, pace_of),
    ],
)
def test_a_trained_model_reaches_the_rates_asked_for(
    shipped_composer: Composer, wanted: dict[str, float], rate_of: Callable[[list[Notes]], float]
) -> None:
    takes = compose(shipped_composer, 16, TakeSettings(length=200, **wanted))
    (target,) = wanted.values()
    assert rate_of(takes) == pytest.approx(target, rel=0.12)
    for take in takes:
        assert rate_of([take]) == pytest.approx(target, rel=0.25)


def test_a_trained_model_keeps_its_primers_pace(shipped_composer: Composer) -> None:
    (music,) = compose(shipped_composer, 1, TakeSettings(length=60))
    own = pace_of([music])
    for factor in (0.6, 1.5):
        onsets, durations = music.onset_seconds / factor, music.duration_seconds / factor
        primer = Notes.of(onsets, durations, music.pitch, music.velocity)
        takes = compose(shipped_composer, 16, TakeSettings(length=200, follow_primer=True), primer)
        assert pace_of(takes) == pytest.approx(own * factor, rel=0.1)
        # The density follows some seconds late, which counts in takes of under 20 s.
        assert density_of(takes) == pytest.approx(density_of([primer]), rel=0.25)


def test_density_of_tutorial_and_tempo_together(tutorial_composer: Any, primer: Notes) -> None:
    for wanted in (1.0, 6.0):
        got = density_of(
            compose(tutorial_composer, 4, TakeSettings(length=200, density=wanted, tempo_factor=2.0), primer)
        )
        assert got == pytest.approx(wanted, rel=0.25)


@pytest.mark.parametrize("known", ["plain_events", "events"])
def test_takes_follow_their_primers_pace(known: str, request: pytest.FixtureRequest) -> None:
    composer = request.getfixturevalue(f"{known}_composer")

    def primer(per_second: float) -> Notes:
        onsets = np.repeat(np.arange(30) / per_second, 2)
        return Notes.of(onsets, np.full(60, 0.2), np.tile([60, 67], 30), np.full(60, 80))

    slow, fast = (
        compose(composer, 6, TakeSettings(length=200, follow_primer=True), primer(rate)) for rate in (1.0, 4.0)
    )
    assert 1 < pace_of(slow) < pace_of(compose(composer, 6, TakeSettings(length=200), primer(1.0)))
    assert pace_of(slow) < pace_of(fast)
    if known == "plain_events":
        assert pace_of(slow) < 2 < pace_of(fast)
        assert density_of(slow) < 0.6 * density_of(fast)


def test_min_p_rules_out_what_is_unlikely() -> None:
    logits = np.log(np.array([[0.5, 0.3, 0.15, 0.05], [0.97, 0.01, 0.01, 0.01]], np.float32))
    wanted = Shaping(min_p=0.25, guard=0, density=0, pace=0).tensors()
    kept = np.asarray(rule_out_unlikely(logits, wanted, -1e30)) > -1e29
    assert kept.tolist() == [[True, True, True, False], [True, False, False, False]]


def test_the_guard_loosens_a_stuck_pitch(events_checkpoint: Checkpoint) -> None:
    weights = {name: array.copy() for name, array in events_checkpoint.weights.items()}
    weights["output.bias"][[60, 128 + 60]] += 9  # this network wants to strike middle C, again and again
    composer = Composer(dataclasses.replace(events_checkpoint, weights=weights))

    def largest_share(takes: list[Notes]) -> float:
        return float(np.mean([np.bincount(take.pitch).max() / len(take) for take in takes]))

    stuck = largest_share(compose(composer, 4, TakeSettings(length=80, longest_note=20)))
    guarded = largest_share(compose(composer, 4, TakeSettings(length=80, longest_note=20, repetition_guard=4.0)))
    assert guarded < 0.5 * stuck


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 127), st.floats(0, 5)), min_size=1, max_size=30), st.floats(0.1, 3))
def test_strikes_and_rates_as_a_plain_loop_counts_them(played: list[tuple[int, float]], guard: float) -> None:
    shaping = Shaping(min_p=0, guard=guard, density=2, pace=1)
    state, (strikes, seconds, notes) = shaping.start(1), (np.zeros(128), 4.0, 8.0)
    always = np.ones(1, bool)
    for pitch, gap in played:
        state = after_time(state, np.array([gap], np.float32))
        state = after_note(state, always, np.array([pitch], np.int32), always)
        strikes *= 0.5**0.125
        strikes[pitch] += 1
        notes = notes * 0.5 ** (gap / 8) + 1
        seconds = seconds * 0.5 ** (gap / 8) + gap
    np.testing.assert_allclose(np.asarray(state["strikes"])[0], strikes, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose([float(state["seconds"][0]), float(state["notes"][0])], [seconds, notes], rtol=1e-3)
    lowered = np.asarray(guard_pitches(np.zeros((1, 128), np.float32), state, shaping.tensors()))[0]
    np.testing.assert_allclose(lowered, -guard * np.maximum(strikes - 1, 0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", ["events", "tutorial"])
def test_a_shaped_take_is_the_same_alone_and_among_many(
    family: str, request: pytest.FixtureRequest, primer: Notes
) -> None:
    composer = request.getfixturevalue(f"{family}_composer")
    wanted = TakeSettings(length=30, min_p=0.05, repetition_guard=0.5, density=3, join_primer=True)
    many = compose(composer, 40, wanted, primer)
    (alone,) = compose(composer, 1, wanted, primer)
    for column in ("onset_seconds", "duration_seconds", "pitch", "velocity"):
        np.testing.assert_array_equal(getattr(alone, column), getattr(many[0], column))


@pytest.mark.parametrize("family", ["events", "tutorial"])
@pytest.mark.parametrize("unit", ["notes", "seconds"])
def test_a_joined_take_is_its_primer_and_what_follows(
    family: str, unit: str, request: pytest.FixtureRequest, primer: Notes
) -> None:
    composer = request.getfixturevalue(f"{family}_composer")
    wanted = TakeSettings(length=25 if unit == "notes" else 4, length_unit=unit, join_primer=True, tempo_factor=2.0)
    last = float(primer.onset_seconds[-1])
    for take in compose(composer, 5, wanted, primer):
        np.testing.assert_allclose(take.onset_seconds[:30], primer.onset_seconds, atol=0.006)
        np.testing.assert_array_equal(take.pitch[:29], primer.pitch[:29])
        if unit == "notes":
            assert len(take) == 55
        else:
            assert len(take) > 30
            assert take.end_seconds <= last + 4 + 1e-9
        assert (take.onset_seconds[30:] >= last - 1e-9).all()
