"""Facts on the device equal those of the host, and what may follow is exactly what an encoded piece can have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.encoding.performance import BEGIN, END, NOTE_OFF, TIME_SHIFT, VELOCITY, decode, encode
from core.encoding.sounding import facts_after, no_facts
from core.modeling.backend import jit, to_numpy
from core.modeling.sounding import age_ticks, canonical_events, facts_next, facts_over, sounds
from core.music.notes import Notes

pytestmark = pytest.mark.slow

_over, _next = jit(facts_over), jit(facts_next)
_mask = jit(canonical_events)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_windows_steps_and_host_agree_on_any_stream(seed):
    generator = np.random.default_rng(seed)
    # Few pitches and many short pauses, so that everything meets.
    pool = np.concatenate([np.arange(60, 64), np.arange(188, 192), [256, 300, 355], np.arange(0, 390, 17)])
    events = generator.choice(pool, (3, 45)).astype(np.int32)
    facts, last = _over(events[:, :20], no_facts(3))
    later, last = _over(events[:, 20:], last)
    steps = no_facts(3)
    for at in range(45):
        steps = _next(events[:, at], steps)
        window, place = (facts, at) if at < 20 else (later, at - 20)
        for name, values in steps.items():
            np.testing.assert_array_equal(to_numpy(values), to_numpy(window[name])[:, place], err_msg=f"{name} {at}")
    for row in range(3):
        host = facts_after(events[row], no_facts(1))
        for name, values in host.items():
            np.testing.assert_array_equal(values[0], to_numpy(steps[name])[row])
            np.testing.assert_array_equal(values[0], to_numpy(last[name])[row])


def test_sounds_and_ages():
    stream = np.array([[BEGIN, VELOCITY + 5, 60, TIME_SHIFT + 9, 64, 188, TIME_SHIFT + 2]], np.int32)
    facts, _ = _over(stream, no_facts(1))
    sounding, ages = to_numpy(sounds(facts))[0], to_numpy(age_ticks(facts))[0]
    assert [np.flatnonzero(row).tolist() for row in sounding] == [[], [], [60], [60], [60, 64], [64], [64]]
    assert ages[:, 60].tolist()[2:] == [0, 10, 10, 0, 3]
    assert ages[4:, 64].tolist() == [0, 0, 3]


notes = st.lists(
    st.tuples(st.integers(0, 300), st.integers(1, 400), st.sampled_from((0, 59, 60, 61, 127)), st.integers(1, 127)),
    min_size=1,
    max_size=25,
)


@given(notes)
@settings(max_examples=40)
def test_every_event_of_an_encoded_piece_may_follow(drawn):
    onset, duration, pitch, velocity = (np.array(column) for column in zip(*drawn, strict=True))
    stream = encode(Notes.of(onset / 100, duration / 100, pitch, velocity)).astype(np.int32)
    padded = np.full((1, 256), END, np.int32)
    padded[0, : stream.size] = stream
    facts, _ = _over(padded, no_facts(1))
    allowed = to_numpy(_mask(padded, facts))[0]
    assert allowed[np.arange(stream.size - 1), stream[1:]].all()


def test_whatever_may_follow_makes_an_encoded_piece():
    """Random walks over what is allowed are read and written again to the same events, so nothing else is allowed."""
    rows = 12
    generator = np.random.default_rng(3)
    event, facts = np.full(rows, BEGIN, np.int32), no_facts(rows)
    walks: list[list[int]] = [[BEGIN] for _ in range(rows)]
    for place in range(400):
        facts = _next(event, facts)
        allowed = to_numpy(_mask(event, facts))
        weight = np.ones(390)
        # After a while only releases, so that all come to an end.
        weight[:NOTE_OFF] = weight[VELOCITY:BEGIN] = 0.3 if place < 150 else 1e-9
        weight[NOTE_OFF:TIME_SHIFT] = 3.0
        weight[END] = 0.05 if place < 150 else 1e3
        for row, walk in enumerate(walks):
            if walk[-1] != END:
                chances = weight * allowed[row]
                walk.append(int(generator.choice(390, p=chances / chances.sum())))
        event = np.array([walk[-1] for walk in walks], np.int32)
    assert all(walk[-1] == END for walk in walks)
    assert max(map(len, walks)) > 150
    for walk in walks:
        assert encode(decode(np.array(walk))).tolist() == walk
