"""The short form of `make chaos`: the same program, the same checks, two minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.faults import KILLS
from tests.chaos.report import faults_of, kills_of, text_of
from tests.chaos.run import Plan, run

pytestmark = pytest.mark.slow

# This seed kills every part that is there, each worker's child and parent but one, in so few kills.
_SEED, _KILLED = 282, set(KILLS) - {"postgres", "training worker's parent"}


def test_nothing_is_lost_or_doubled_while_parts_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CADENZA_DATA_DIR", "")  # put back afterwards: the run removes what it finds
    # A slow machine takes longer to have parts back that can be killed again, and is given the time.
    plan = Plan("sqlite", 30, 11, _SEED, users=3, training_steps=300, last_seed=31, patience=12)
    outcome = run(plan, tmp_path)
    print(text_of(outcome))
    assert faults_of(outcome) == {}
    assert kills_of(outcome) == 11
    assert set(outcome.done) >= _KILLED
    assert outcome.findings.counts["takes"] > 0
    assert outcome.findings.counts["jobs succeeded"] >= 5
