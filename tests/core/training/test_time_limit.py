"""Trainings that may take so long only: how many steps they plan, and that the plan alone decides the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.datasets.corpus import Corpus
from core.training import pulse
from core.training.run import TrainingInterrupted, TrainingResult, train
from core.training.settings import EventSettings, LstmSettings
from core.training.time_limit import Pace, Plan, TimeLimit

_SMALL = LstmSettings(
    embedding=8, units=8, batch_size=16, window=128, steps=400, evaluate_every=50, warmup_steps=5, average=0.9
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
def test_a_plan_fits_into_its_time_and_uses_it(
    steps: int, evaluate_every: int, minutes: float, done: int, step_seconds: float, events: int
) -> None:
    settings = LstmSettings(steps=steps, evaluate_every=evaluate_every, minutes=minutes)
    done = min(done, steps)
    limit, pace = TimeLimit(settings, events, events // 2), Pace(done, done * step_seconds, step_seconds, done, 0.0)
    plan = limit.plan(pace)
    assert done <= plan.steps <= steps
    assert plan.steps * step_seconds <= settings.limit_seconds or plan.steps == done
    # Neither figures over the whole nor those of the curve keep it from training for half of the time that is left.
    left = 0.9 * settings.limit_seconds - done * step_seconds
    assert plan.steps == steps or (plan.steps - done + 1) * step_seconds >= 0.5 * left
    # At most as many figures as were set; with fewer steps than figures, one after each.
    assert plan.evaluate_every >= 1
    assert -(-plan.steps // plan.evaluate_every) <= -(-steps // evaluate_every)
    longer = TimeLimit(settings.model_copy(update={"minutes": 2 * minutes}), events, events // 2)
    assert longer.plan(pace).steps >= plan.steps
    assert limit.plan(replace(pace, step_seconds=2 * step_seconds)).steps <= plan.steps


def test_held_out_figures_take_their_part_of_the_time() -> None:
    settings = LstmSettings(steps=10_000, evaluate_every=1_000, batch_size=10, window=10, minutes=10)
    pace = Pace(50, 50.0, 1.0, 49, 0.0)
    assert TimeLimit(settings, 0, 0).plan(pace) == Plan(50 + 490, 54)  # 90 % of 600 s, of which 50 are over
    assert TimeLimit(settings, 0, 0).plan(replace(pace, compile_seconds=40.0)).steps == 50 + 470
    # A held-out event takes 4 ms, of 10 in training: 10 figures of 1,000 events and one of 2,000 more are 48 s.
    assert TimeLimit(settings, 1_000, 2_000).plan(pace) == Plan(50 + 442, 50)
    # Those of 4,000 would be 160 s; 4 of them are less than 15 % of 490 s.
    assert TimeLimit(settings, 4_000, 0).plan(pace) == Plan(50 + 426, 119)
    # However much is held out, half of the time is for training.
    assert TimeLimit(settings, 10**6, 10**7).plan(pace) == Plan(50 + 245, 295)


def test_figures_are_fewer_where_only_they_would_take_too_long() -> None:
    settings = LstmSettings(steps=400, evaluate_every=10, batch_size=10, window=10, minutes=10)
    plan = TimeLimit(settings, 1_000, 0).plan(Pace(50, 50.0, 1.0, 49, 0.0))
    assert plan == Plan(400, 23)  # 18 figures of 4 s


def test_it_is_planned_after_the_warm_up_or_a_tenth_of_the_time() -> None:
    limit = TimeLimit(LstmSettings(warmup_steps=50, minutes=1), 0, 0)
    assert not limit.may_plan(Pace(1, 20.0, 0.0, 0, 20.0))  # nothing was measured yet
    assert not limit.may_plan(Pace(49, 5.9, 0.04, 48, 3.9))
    assert limit.may_plan(Pace(50, 5.9, 0.04, 49, 3.9))
    assert limit.may_plan(Pace(6, 6.0, 0.4, 5, 4.0))
    # Four steps tell little, but a quarter of the time is enough to wait.
    assert not limit.may_plan(Pace(50, 14.9, 0.01, 4, 14.4))
    assert limit.may_plan(Pace(50, 15.0, 0.01, 1, 14.4))
    # The first figure comes after the plan, which says how many there are.
    early = TimeLimit(LstmSettings(warmup_steps=1_000, evaluate_every=250, minutes=60), 0, 0)
    assert not early.may_plan(Pace(249, 60.0, 0.2, 248, 5.0))
    assert early.may_plan(Pace(250, 60.0, 0.2, 249, 5.0))


def test_the_log_says_what_to_change_where_hardly_anything_fits() -> None:
    limit = TimeLimit(LstmSettings(steps=3_000, warmup_steps=200, minutes=10), 0, 0)
    pace = Pace(20, 60.0, 3.0, 19, 2.0)
    text = limit.told(pace, limit.plan(pace))
    assert "At 3 s a step, 179 of 3,000 steps fit into the time limit of 10 minutes, with a held-out figure" in text
    assert "The warm-up alone has 200: a smaller preset, a smaller batch or a longer limit would learn more." in text
    assert "With steps=179, evaluate_every=15 and no time limit, a training on this machine gives the same" in text
    late = Pace(300, 100.0, 0.3, 299, 2.0)
    assert "gives the same" not in limit.told(late, limit.plan(late))


def test_the_time_of_a_step_is_without_what_compiles_and_what_lies_between(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 15.0, 16.0, 17.0, 60.0, 62.0])
    monkeypatch.setattr(pulse, "time", SimpleNamespace(monotonic=lambda: next(times)))
    taken = pulse.StepTime()
    taken.add()
    assert (taken.first_seconds, taken.steps, taken.mean_seconds) == (5.0, 0, 0.0)
    taken.add()
    taken.add()
    taken.rest()  # a held-out figure
    taken.add()
    assert (taken.first_seconds, taken.steps, taken.mean_seconds) == (5.0, 2, 1.0)
    taken.add()
    assert (taken.steps, taken.mean_seconds) == (3, pytest.approx(4 / 3))


@pytest.mark.slow
def test_its_plan_alone_decides_the_weights(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, hooks = make_corpus(), make_hooks()
    limited = _train_at(1.0, _LIMITED, corpus, hooks, monkeypatch)
    steps = limited.steps
    assert 85 < steps < 108  # of 120 s at one step a second, a little for the held-out figures
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

    # And what goes on after a kill soon after the plan keeps to it, whatever the machine could do now.
    killed = make_hooks()
    monkeypatch.setattr(killed, "interrupted", lambda: _kill() if killed.told == 7 else False)
    with pytest.raises(MemoryError):
        _train_at(1.0, _LIMITED, corpus, killed, monkeypatch)
    assert killed.resume_steps == [6]
    monkeypatch.setattr(killed, "interrupted", lambda: False)
    resumed = _train_at(0.2, _LIMITED, corpus, killed, monkeypatch)
    assert resumed.last.to_bytes() == limited.last.to_bytes()


@pytest.mark.slow
def test_a_machine_that_becomes_slower_ends_by_the_limit(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, hooks = make_corpus(), make_hooks()
    slower = _train_at(1.0, _LIMITED, corpus, hooks, monkeypatch, later_step_seconds=2.0)
    planned, steps = hooks.latest.steps, slower.steps
    assert planned > 85
    assert 63 <= steps <= 67  # at 20 + 2 * 45 = 110 s; the latest is 0.98 * 120 - 6 = 111.6, less a figure
    assert not slower.stopped_early
    assert hooks.points[-1].step == steps
    [line] = [line for line in hooks.lines if "is the last that fits" in line]
    assert line.startswith(f"Step {steps} of the {planned} planned ones is the last that fits into the time limit of 2")
    # It is as far as it would have come on its way to the end of the plan.
    assert slower.last.settings["steps"] == planned
    recipe = slower.last.family_settings.model_copy(update={"evaluate_every": steps})
    whole = make_hooks(lambda _: whole.latest is not None and whole.latest.step > steps)
    with pytest.raises(TrainingInterrupted):
        _train_at(1.0, recipe, corpus, whole, monkeypatch)
    for name, weight in whole.checkpoints["last"].weights.items():
        assert (weight == slower.last.weights[name]).all()

    # Killed within its last figure, it goes on with that.
    again = make_hooks()
    monkeypatch.setattr(
        again, "interrupted", lambda: len(again.lines) > 1 and again.lines[-1] == line and again.stop(0)
    )
    again.stop = lambda _: not again.resume_steps or again.resume_steps[-1] != steps
    with pytest.raises(TrainingInterrupted):
        _train_at(1.0, _LIMITED, corpus, again, monkeypatch, later_step_seconds=2.0)
    assert again.resume_steps[-1] == steps
    resumed = _train_at(1.0, _LIMITED, corpus, again, monkeypatch)
    assert resumed.last.to_bytes() == slower.last.to_bytes()
    assert not resumed.stopped_early


def test_a_limit_is_over_when_only_the_last_figures_fit() -> None:
    limit = TimeLimit(LstmSettings(minutes=60), 1_000, 4_000)
    # 98 % of an hour less 8 s are 3,520 s, of which figures of 10 s and 40 s are to be taken.
    assert not limit.is_over(3_469.0, 10.0)
    assert limit.is_over(3_470.0, 10.0)
    assert limit.is_over(3_520.0, 0.0)
    # In a short one what lies outside has less: 5 %.
    assert limit.figure_seconds(2.0) == pytest.approx(2.0 * 0.4 * 1_000 / (16 * 64))
    short = TimeLimit(LstmSettings(minutes=1), 0, 0)
    assert not short.is_over(55.7, 0.0)
    assert short.is_over(55.8, 0.0)
    assert not TimeLimit(LstmSettings(), 0, 0).is_over(1e9, 1e9)


@pytest.mark.slow
def test_interrupted_before_its_plan_it_makes_one_later(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, hooks = make_corpus(), make_hooks(lambda calls: calls == 4)
    settings = _LIMITED.model_copy(update={"minutes": 1.0})
    with pytest.raises(TrainingInterrupted):
        _train_at(1.0, settings, corpus, hooks, monkeypatch)
    resumed = _train_at(1.0, settings, corpus, hooks, monkeypatch)
    assert 25 < resumed.steps < 54
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
    # With a limit that did not matter, the checkpoint is that of a training without one.
    assert (limited.last.settings["steps"], limited.last.settings["minutes"]) == (60, 0)


def _kill() -> bool:
    raise MemoryError("killed")


def _train_at(
    step_seconds: float,
    settings: EventSettings,
    corpus: Corpus,
    hooks: object,
    monkeypatch: pytest.MonkeyPatch,
    later_step_seconds: float | None = None,
) -> TrainingResult:
    """Train by a clock that only steps move, after twenty of them with another speed where one is given."""
    before, later = hooks.told, step_seconds if later_step_seconds is None else later_step_seconds

    def monotonic() -> float:
        steps = hooks.told - before
        return 1.0 + step_seconds * min(steps, 20) + later * max(0, steps - 20)

    monkeypatch.setattr(pulse, "time", SimpleNamespace(monotonic=monotonic))
    return train(settings, corpus, hooks)
