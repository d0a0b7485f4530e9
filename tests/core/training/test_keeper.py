"""What is kept of a training: the best checkpoint through lost resume points, early stopping, seconds, words."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from core.training import pulse
from core.training.keeper import Keeper
from core.training.resume import Arrays
from core.training.settings import GruSettings

_SETTINGS = GruSettings(embedding=8, units=8, precision="auto")
_FIGURE = "held_out_nats_per_event"


def _weights(value: float) -> Arrays:
    return {"kernel": np.full(3, value, np.float32)}


def _keeper(hooks: object, settings: GruSettings = _SETTINGS, patience: int = 2) -> Keeper:
    return Keeper(hooks, settings, patience, _FIGURE, _weights(0))


def _measure(keeper: Keeper, *losses: float) -> None:
    """Weights whose values are their loss, a hundred steps apart."""
    for number, loss in enumerate(losses, 1):
        keeper.measured(_weights(loss), {_FIGURE: loss, "step": 100.0 * number})


def test_a_start_anew_replaces_the_best_checkpoint_only_by_a_better_one(make_hooks: Callable[..., object]) -> None:
    hooks = make_hooks()
    first = _keeper(hooks)
    first.begin(None, None, precision="bfloat16")
    _measure(first, 3.0, 2.0)
    before = hooks.checkpoints["best"]

    again = _keeper(hooks)
    again.begin(None, None, precision="float32")  # on another machine, without a resume point
    assert "(2.0000) stays until there is a better one" in hooks.lines[-1]
    _measure(again, 2.9, 2.5, 2.2)
    assert hooks.checkpoints["best"] is before
    assert hooks.checkpoints["last"].figures[_FIGURE] == 2.2
    assert (again.best_checkpoint().figures, again.best["kernel"][0]) == ({_FIGURE: 2.0, "step": 200.0}, 2.0)
    # It gets better all the time, whatever was reached before.
    assert not again.patience_is_over
    _measure(again, 2.3, 2.4)
    assert again.patience_is_over

    _measure(again, 1.9)
    assert hooks.checkpoints["best"].figures[_FIGURE] == 1.9
    assert again.best["kernel"][0] == np.float32(1.9)


def test_a_resume_point_holds_both_figures_and_a_better_stored_checkpoint_goes_before_its_own(
    make_hooks: Callable[..., object],
) -> None:
    hooks = make_hooks()
    first = _keeper(hooks)
    first.begin(None, None)
    _measure(first, 3.0)
    place, best = first.place(), first.best
    _measure(first, 2.0)  # stored after the resume point

    resumed = _keeper(hooks)
    resumed.begin(place, best)
    assert resumed.best["kernel"][0] == 2.0
    _measure(resumed, 2.6)
    again = resumed.place()
    assert (again["best_loss"], again["lowest"], again["waited"]) == (2.0, 2.6, 0)
    alone = make_hooks()
    without = _keeper(alone)
    without.begin(place, best)
    assert without.best["kernel"][0] == 3.0


def test_a_checkpoint_of_other_settings_does_not_count(make_hooks: Callable[..., object]) -> None:
    hooks = make_hooks()
    other = _keeper(hooks, _SETTINGS.model_copy(update={"window": 32}))
    other.begin(None, None)
    _measure(other, 1.0)
    keeper = _keeper(hooks)
    keeper.begin(None, None)
    _measure(keeper, 3.0)
    assert hooks.checkpoints["best"].figures[_FIGURE] == 3.0


def test_what_another_start_decided_otherwise_does_not_count_against_its_checkpoint(
    make_hooks: Callable[..., object],
) -> None:
    hooks = make_hooks()
    limited = _SETTINGS.model_copy(update={"minutes": 2.0})
    first = _keeper(hooks, limited)
    first.begin(None, None, precision="float32")
    first.decide(steps=70, evaluate_every=9, minutes=0.0)  # on a slow machine
    _measure(first, 2.0)
    again = _keeper(hooks, limited)
    again.begin(None, None, precision="float32")
    _measure(again, 3.0)
    assert hooks.checkpoints["best"].figures[_FIGURE] == 2.0
    # Without a limit, other steps are other settings.
    other = _keeper(hooks, _SETTINGS)
    other.begin(None, None, precision="float32")
    _measure(other, 3.0)
    assert hooks.checkpoints["best"].figures[_FIGURE] == 3.0


def test_seconds_add_up_over_pauses_and_stay_unknown_after_an_earlier_versions_resume_point(
    make_hooks: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 50.0
    monkeypatch.setattr(pulse, "time", SimpleNamespace(monotonic=lambda: now))
    hooks = make_hooks()
    first = _keeper(hooks)
    first.begin(None, None)
    now += 7
    first.point(100, 1.0, {_FIGURE: 3.0})
    now += 3
    place = first.place()
    now += 1000
    second = _keeper(hooks)
    now += 2  # reading the resume point
    second.begin(place, first.best)
    now += 4
    second.point(200, 2.0, {_FIGURE: 2.0})
    assert [point.seconds for point in hooks.points] == [7, 16]

    # As earlier versions wrote it.
    old = {
        "best_loss": 3.0,
        "best_figures": {_FIGURE: 3.0, "step": 100.0},
        "waited": 1,
        "last_figures": {},
        "step": 150,
    }
    third = _keeper(make_hooks())
    third.begin(old, _weights(3))
    assert third.place() == {
        "best_loss": 3.0,
        "best_figures": old["best_figures"],
        "last_figures": {},
        "lowest": 3.0,
        "waited": 1,
        "seconds": None,
    }


def test_it_says_truly_what_is_kept(make_hooks: Callable[..., object]) -> None:
    hooks = make_hooks()
    keeper = _keeper(hooks)
    keeper.begin(None, None)
    assert keeper.what_is_kept() == "It had not come to its first checkpoint, so there is none to keep."
    _measure(keeper, 2.0, 3.0)
    assert keeper.what_is_kept() == "The last good checkpoint, of step 200, is kept."
    again = _keeper(hooks)
    again.begin(None, None)
    assert again.what_is_kept() == "The best checkpoint of its earlier start, of step 100, is kept."
