"""Top k, top p and min p as takes are really made: every event held against the logits that it was drawn from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.encoding.performance import BEGIN
from core.encoding.sounding import no_facts
from core.modeling.backend import jit, to_numpy
from core.modeling.sounding import facts_next
from core.music.notes import Notes
from core.sampling import composer as composing
from core.sampling.choice import RULED_OUT
from core.sampling.grammar import Limits, advance, allowed_events, initial_grammar
from core.sampling.settings import TakeSettings

pytestmark = pytest.mark.slow

_TAKES, _NOTES = 6, 12
# Tiny compared with any probability of the likeliest of 390 events, and as near to 1 as the settings allow.
_TINY, _ALMOST_ONE = 1e-6, 1 - 1e-6


class _Take:
    """What was drawn for one take, `[steps, ...]`, and the logits `[steps, events]` that it was drawn from."""

    values: NDArray[Any]
    logits: NDArray[np.float32]


def _compose(composer: Any, wanted: TakeSettings, temperature: float, primer: Notes | None = None) -> list[_Take]:
    """Takes of the seeds from 0, as the composer makes them."""
    takes = [_Take() for _ in range(_TAKES)]
    drawn: list[NDArray[Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("events_assembler", "tutorial_assembler"):
            patch.setattr(composing, name, _listening(getattr(composing, name), drawn.append))
        composer.compose(
            [(seed, temperature) for seed in range(_TAKES)],
            wanted,
            primer,
            lambda index, _: setattr(takes[index], "values", drawn[-1]),
            lambda: False,
            on_logits=lambda index, logits: setattr(takes[index], "logits", logits),
        )
    return takes


def _listening(assembler: Any, listen: Callable[[NDArray[Any]], None]) -> Any:
    def make(*arguments: Any) -> Any:
        assemble = assembler(*arguments)

        def heard(values: NDArray[Any]) -> Notes:
            listen(values)
            return assemble(values)

        return heard

    return make


@jit
def _follow(grammar: Any, facts: Any, event: Any, limits: Any) -> Any:
    """What may come after an event, and what holds after the next one is known."""
    facts = facts_next(event, facts)
    return facts, allowed_events(grammar, facts, limits)


_advance = jit(advance)


def _ranked(takes: list[_Take], wanted: TakeSettings, temperature: float) -> list[NDArray[np.float64]]:
    """Of every take the probabilities `[steps, events]` from which it was drawn, 0 for what the grammar forbids."""
    limits = Limits.of(wanted).tensors()
    grammar, facts = initial_grammar(_TAKES), no_facts(_TAKES)
    last, allowed = np.full(_TAKES, BEGIN, np.int32), []
    for step in range(max(len(take.values) for take in takes)):
        facts, may_come = _follow(grammar, facts, last, limits)
        allowed.append(to_numpy(may_come))
        last = np.array([take.values[min(step, len(take.values) - 1)] for take in takes], np.int32)
        grammar = _advance(grammar, facts, last, limits)
    found = []
    for row, take in enumerate(takes):
        scaled = take.logits.astype(np.float64) / temperature
        scaled = np.where(np.stack(allowed)[: len(scaled), row], scaled, RULED_OUT)
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        found.append(weights / weights.sum(axis=1, keepdims=True))
    return found


def _place(probabilities: NDArray[np.float64], chosen: NDArray[Any]) -> NDArray[np.int64]:
    """How many events are likelier than the chosen one, at each step; rounding makes no difference."""
    own = probabilities[np.arange(len(chosen)), chosen.astype(int)]
    assert (own > 0).all()
    return np.asarray((probabilities > own[:, None] * (1 + 1e-5)).sum(axis=1))


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_greedy_ways_take_the_likeliest_event_that_may_come(events_composer: Any, temperature: float) -> None:
    free = TakeSettings(length=_NOTES)
    at_random = [
        _place(probabilities, take.values)
        for takes in [_compose(events_composer, free, temperature)]
        for take, probabilities in zip(takes, _ranked(takes, free, temperature), strict=True)
    ]
    assert np.concatenate(at_random).max() > 10
    for way in ({"top_k": 1}, {"top_p": _TINY}, {"min_p": _ALMOST_ONE}, {"top_k": 1, "top_p": 0.5, "min_p": 0.5}):
        wanted = TakeSettings(length=_NOTES, **way)
        takes = _compose(events_composer, wanted, temperature)
        for take, probabilities in zip(takes, _ranked(takes, wanted, temperature), strict=True):
            assert (_place(probabilities, take.values) == 0).all(), way
            np.testing.assert_array_equal(take.values, takes[0].values)  # whatever the seed


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(2, 40), st.floats(0.4, 4))
def test_top_k_takes_only_the_k_likeliest(events_composer: Any, top_k: int, temperature: float) -> None:
    wanted = TakeSettings(length=_NOTES, top_k=top_k)
    takes = _compose(events_composer, wanted, temperature)
    places = np.concatenate(
        [_place(p, take.values) for take, p in zip(takes, _ranked(takes, wanted, temperature), strict=True)]
    )
    assert places.max() < top_k
    assert places.max() > 0


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0.05, 0.95), st.floats(0.4, 4))
def test_top_p_and_min_p_take_only_likely_events(events_composer: Any, share: float, temperature: float) -> None:
    for way in ("top_p", "min_p"):
        wanted = TakeSettings(length=_NOTES, **{way: share})
        takes = _compose(events_composer, wanted, temperature)
        for take, p in zip(takes, _ranked(takes, wanted, temperature), strict=True):
            own = p[np.arange(len(p)), take.values.astype(int)]
            if way == "min_p":
                assert (own >= share * p.max(axis=1) * (1 - 1e-4)).all()
            else:
                likelier = np.where(p > own[:, None] * (1 + 1e-5), p, 0).sum(axis=1)
                assert (likelier < share + 1e-4).all()


def test_the_article_s_network_keeps_to_them_too(tutorial_composer: Any, primer: Notes) -> None:
    def places(takes: list[_Take]) -> NDArray[np.int64]:
        """How many pitches are likelier than the chosen one and were not struck within the last 10 ms."""
        found = []
        for take in takes:
            struck, now = np.full(128, -1e6, np.float32), np.float32(0)
            for (pitch, step, _), logits in zip(take.values, take.logits, strict=True):
                now = np.float32(now + step)
                free = now - struck >= 0.01
                own = logits[int(pitch)]
                found.append(int((free & (logits > own + 1e-5)).sum()))
                struck[int(pitch)] = now
        return np.array(found)

    assert places(_compose(tutorial_composer, TakeSettings(length=20), 1.5, primer)).max() > 10
    for way in ({"top_k": 1}, {"top_p": _TINY}, {"min_p": _ALMOST_ONE}):
        takes = _compose(tutorial_composer, TakeSettings(length=20, **way), 1.5, primer)
        assert (places(takes) == 0).all(), way
    for top_k in (3, 15):
        found = places(_compose(tutorial_composer, TakeSettings(length=20, top_k=top_k), 1.5, primer))
        assert 0 < found.max() < top_k
