"""What a chaos run does is decided by its seed."""

from __future__ import annotations

from tests.chaos.faults import KILLS, OTHERS, schedule


def test_a_seed_makes_the_schedule_repeatable() -> None:
    events = schedule(3, 600, 1000, without=set())
    assert events == schedule(3, 600, 1000, without=set())
    assert events != schedule(4, 600, 1000, without=set())
    assert [event.at_seconds for event in events] == sorted(event.at_seconds for event in events)
    assert {event.kind for event in events} == set(KILLS) | set(OTHERS)
    assert "postgres" not in {event.kind for event in schedule(3, 600, 1000, without={"postgres"})}
