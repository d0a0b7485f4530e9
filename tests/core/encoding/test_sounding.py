"""Facts of a whole piece at once equal those that are followed event by event."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.encoding.performance import BEGIN, SIZE, TIME_SHIFT, VELOCITY
from core.encoding.sounding import facts_after, facts_along, no_facts

# Few pitches, short and long pauses and some of everything, so that all of it meets within a few events.
_POOL = [
    *range(60, 63),
    *range(188, 191),
    TIME_SHIFT,
    TIME_SHIFT + 99,
    VELOCITY,
    VELOCITY + 31,
    BEGIN,
    *range(0, SIZE, 29),
]


@given(st.lists(st.sampled_from(_POOL), min_size=1, max_size=80), st.integers(1, 30))
@settings(max_examples=150, deadline=None)
def test_facts_along_a_piece_are_those_after_what_comes_before(events: list[int], every: int) -> None:
    stream = np.array(events, np.uint16)
    along = facts_along(stream, every)
    facts, before = no_facts(1), 0
    for row, place in enumerate(range(0, stream.size, every)):
        facts, before = facts_after(stream[before:place], facts), place
        for name, values in facts.items():
            assert along[name].dtype == values.dtype
            np.testing.assert_array_equal(along[name][row], values[0], err_msg=f"{name} before {place}")
    assert {len(values) for values in along.values()} == {row + 1}
