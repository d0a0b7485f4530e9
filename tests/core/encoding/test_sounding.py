"""What sounds after any stream of events, and before each part of a piece, against a plain loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.encoding.performance import BEGIN, NOTE_OFF, TIME_SHIFT, VELOCITY
from core.encoding.sounding import NEVER, facts_after, facts_along, no_facts

any_events = st.lists(
    st.integers(0, 389) | st.integers(58, 62) | st.integers(186, 190) | st.sampled_from([256, 300, 355]), max_size=60
).map(lambda drawn: np.array(drawn, np.int64))


def facts_slowly(events):
    """The same event by event: `last`, `reached`, `velocity`."""
    now, reached, velocity = 0, -1, 32
    struck, released = {}, {}
    for event in events.tolist():
        if event < NOTE_OFF:
            struck[event] = now
            reached = max(reached, 128 + event)
        elif event < TIME_SHIFT:
            pitch = event - NOTE_OFF
            if struck.get(pitch) != now:  # no note is shorter than a tick
                released[pitch] = now
            reached = max(reached, pitch)
        elif event < VELOCITY:
            now, reached = now + event - TIME_SHIFT + 1, -1
        elif event < BEGIN:
            velocity = event - VELOCITY
    last = np.full(128, NEVER)
    for pitch in struck.keys() | released.keys():
        on, off = struck.get(pitch, -1), released.get(pitch, -1)
        last[pitch] = 2 * (on - now) + 1 if on >= off else 2 * (off - now)
    return last, reached, velocity


@given(any_events, st.integers(0, 60))
def test_equals_a_plain_loop_in_one_part_or_two(events, cut):
    last, reached, velocity = facts_slowly(events)
    first = facts_after(events[:cut], no_facts(1))
    for found in (facts_after(events, no_facts(1)), facts_after(events[cut:], first)):
        np.testing.assert_array_equal(found["last"][0], last)
        assert (found["reached"][0], found["velocity"][0]) == (reached, velocity)
        assert all(values.dtype == np.int32 for values in found.values())


@given(any_events.filter(len), st.integers(1, 30))
def test_along_a_piece_they_are_those_after_what_comes_before(events, every):
    along = facts_along(events, every)
    places = range(0, len(events), every)
    assert {len(values) for values in along.values()} == {len(places)}
    assert all(values.dtype == np.int32 for values in along.values())
    for row, place in enumerate(places):
        last, reached, velocity = facts_slowly(events[:place])
        np.testing.assert_array_equal(along["last"][row], last, err_msg=f"before {place}")
        assert (along["reached"][row], along["velocity"][row]) == (reached, velocity)
