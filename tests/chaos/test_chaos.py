"""The short form of `make chaos`: the same program, the same checks, two minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.faults import KILLS, OTHERS, schedule
from tests.chaos.report import faults_of, kills_of, text_of
from tests.chaos.run import Plan, run


def test_a_seed_makes_the_schedule_repeatable() -> None:
    events = schedule(3, 600, 1000, without=set())
    assert events == schedule(3, 600, 1000, without=set())
    assert events != schedule(4, 600, 1000, without=set())
    assert [event.at_seconds for event in events] == sorted(event.at_seconds for event in events)
    assert {event.kind for event in events} == set(KILLS) | set(OTHERS)
    assert "postgres" not in {event.kind for event in schedule(3, 600, 1000, without={"postgres"})}


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_while_parts_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CADENZA_DATA_DIR", "")  # put back afterwards: the run removes what it finds
    plan = Plan("sqlite", seconds=40, kills=14, seed=5, users=3, training_steps=300, last_seed=47)
    outcome = run(plan, tmp_path)
    print(text_of(outcome))
    assert faults_of(outcome) == {}
    assert kills_of(outcome) >= 8
    assert outcome.findings.counts["takes"] > 0
    assert outcome.findings.counts["jobs succeeded"] >= 5
