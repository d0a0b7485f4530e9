"""Trainings that may take so long only: how many steps they plan, and that the plan alone decides the weights."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.datasets.corpus import Corpus
from core.training import pulse
from core.training.run import TrainingInterrupted, TrainingResult, train
from core.training.settings import EventSettings, LstmSettings
from core.training.time_limit import Pace, may_plan, plan_within, told

_SMALL = LstmSettings(
    embedding=8, units=8, batch_size=8, window=64, steps=400, evaluate_every=50, warmup_steps=5, average=0.9
)
_LIMITED = _SMALL.model_copy(update={"minutes": 2.0})


@given(
    steps=st.integers(1, 100_000),
    evaluate_every=st.integers(1, 2_000),
    minutes=st.floats(0.01, 10_000),
    done=st.integers(1, 500),
    step_seconds=st.floats(1e-4, 60),
    events=st.integers(0, 10**7),
)
def test_a_plan_fits_into_its_time(
    steps: int, evaluate_every: int, minutes: float, done: int, step_seconds: float, events: int
) -> None:
    settings = LstmSettings(steps=steps, evaluate_every=evaluate_every, minutes=minutes)
    done = min(done, steps)
    pace = Pace(done, done * step_seconds, done * step_seconds, step_seconds, 0.0, events, events // 2)
    plan = plan_within(settings, pace)
    assert done <= plan.steps <= steps
    assert 1 <= plan.evaluate_every <= evaluate_every
    seconds = plan.steps * step_seconds
    assert seconds <= settings.limit_seconds or plan.steps == done
    # As many figures, however few steps; with fewer steps than figures, one after each.
    figures = -(-steps // evaluate_every)
    assert -(-plan.steps // plan.evaluate_every) <= figures
    longer = plan_within(settings.model_copy(update={"minutes": 2 * minutes}), pace)
    assert longer.steps >= plan.steps
    slower = plan_within(settings, Pace(done, pace.spent_seconds, 1.0, 2 * step_seconds, 0.0, events, 0))
    assert (
        slower.steps <= plan_within(settings, Pace(done, pace.spent_seconds, 1.0, step_seconds, 0.0, events, 0)).steps
    )


def test_held_out_figures_take_their_part_of_the_time() -> None:
    settings = LstmSettings(steps=10_000, evaluate_every=1_000, batch_size=10, window=10, minutes=10)
    without = plan_within(settings, Pace(50, 50.0, 50.0, 1.0, 0.0, 0, 0))
    assert without.steps == 50 + 520  # 95 % of 600 s, of which 50 are over
    # A held-out event takes half the time of one in training, 5 ms: 10 figures of 1,000 and 2,000 at the end are 60 s.
    assert plan_within(settings, Pace(50, 50.0, 50.0, 1.0, 0.0, 1_000, 2_000)).steps == 50 + 460
    assert plan_within(settings, Pace(50, 50.0, 50.0, 1.0, 40.0, 0, 0)).steps == 50 + 500
    assert without.evaluate_every == 57


def test_it_is_planned_after_the_warm_up_or_a_tenth_of_the_time() -> None:
    settings = LstmSettings(warmup_steps=50, minutes=1)
    assert not may_plan(settings, Pace(1, 20.0, 0.0, 0.0, 20.0, 0, 0))  # nothing was measured yet
    assert not may_plan(settings, Pace(49, 5.9, 2.0, 0.04, 3.9, 0, 0))
    assert may_plan(settings, Pace(50, 5.9, 2.0, 0.04, 3.9, 0, 0))
    assert may_plan(settings, Pace(3, 6.0, 2.0, 1.0, 4.0, 0, 0))
    # Half a second tells little, but a quarter of the time is enough to wait.
    assert not may_plan(settings, Pace(50, 14.9, 0.5, 0.01, 14.4, 0, 0))
    assert may_plan(settings, Pace(50, 15.0, 0.6, 0.01, 14.4, 0, 0))


def test_the_log_says_what_to_change_where_hardly_anything_fits() -> None:
    settings = LstmSettings(steps=3_000, warmup_steps=200, minutes=10)
    pace = Pace(20, 60.0, 58.0, 3.0, 2.0, 0, 0)
    text = told(settings, pace, plan_within(settings, pace))
    assert "At 3 s a step, 189 of 3,000 steps fit into the time limit of 10 minutes, with a held-out figure" in text
    assert "The warm-up alone has 200: a smaller preset, a smaller batch or a longer limit would learn more." in text
    assert "With steps=189, evaluate_every=16 and no time limit, a training on this machine gives the same" in text


@pytest.mark.slow
def test_its_plan_alone_decides_the_weights(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, hooks = make_corpus(), make_hooks()
    limited = _train_at(1.0, _LIMITED, corpus, hooks, monkeypatch)
    steps = limited.steps
    assert 90 < steps < 114  # of 120 s at one step a second, a little for the held-out figures
    assert (limited.stopped_early, hooks.latest.steps, hooks.latest.step) == (False, steps, steps)
    assert hooks.points[-1].step == steps
    assert len(hooks.points) == 8
    assert hooks.points[-1].values["learning_rate"] == pytest.approx(_SMALL.learning_rate / 10, rel=0.01)
    [line] = [line for line in hooks.lines if "fit into the time limit" in line]
    assert f"{steps} of 400 steps fit into the time limit of 2 minutes" in line

    # The checkpoint tells how to make it again, on a machine of any speed.
    recipe = limited.last.family_settings
    assert isinstance(recipe, EventSettings)
    assert (recipe.steps, recipe.minutes) == (steps, 0)
    again = _train_at(30.0, recipe, corpus, make_hooks(), monkeypatch)
    assert again.last.to_bytes() == limited.last.to_bytes()
    assert again.best.to_bytes() == limited.best.to_bytes()

    # And what goes on after an interruption keeps to its plan, however slow the machine has become.
    interrupted = make_hooks(lambda calls: calls == 60)
    with pytest.raises(TrainingInterrupted):
        _train_at(1.0, _LIMITED, corpus, interrupted, monkeypatch)
    resumed = _train_at(20.0, _LIMITED, corpus, interrupted, monkeypatch)
    assert resumed.last.to_bytes() == limited.last.to_bytes()


@pytest.mark.slow
def test_interrupted_before_its_plan_it_makes_one_later(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, hooks = make_corpus(), make_hooks(lambda calls: calls == 4)
    settings = _LIMITED.model_copy(update={"minutes": 1.0})
    with pytest.raises(TrainingInterrupted):
        _train_at(1.0, settings, corpus, hooks, monkeypatch)
    resumed = _train_at(1.0, settings, corpus, hooks, monkeypatch)
    assert 30 < resumed.steps < 57
    assert resumed.last.settings["steps"] == resumed.steps


@pytest.mark.slow
def test_a_machine_that_is_fast_enough_does_all_steps(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, hooks = make_corpus(), make_hooks()
    limited = _train_at(
        1.0, _LIMITED.model_copy(update={"steps": 60, "evaluate_every": 25}), corpus, hooks, monkeypatch
    )
    assert not any("time limit" in line for line in hooks.lines)
    assert [point.step for point in hooks.points] == [25, 50, 60]
    assert limited.steps == 60
    # Whether it was planned before its end or not, which no bytes may depend on.
    assert (limited.last.settings["steps"], limited.last.settings["minutes"]) == (60, 2)


def _train_at(
    step_seconds: float, settings: EventSettings, corpus: Corpus, hooks: object, monkeypatch: pytest.MonkeyPatch
) -> TrainingResult:
    """Train by a clock that only steps move."""
    before = hooks.told
    monkeypatch.setattr(pulse, "time", SimpleNamespace(monotonic=lambda: 1.0 + step_seconds * (hooks.told - before)))
    return train(settings, corpus, hooks)
