"""The same seed gives the same bits, whatever is composed beside it, in whatever order, in whatever process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.modeling.checkpoints import Checkpoint
from core.music.notes import Notes
from core.sampling.settings import TakeSettings

pytestmark = pytest.mark.slow

_SETTINGS = TakeSettings(length=12)


def composed(
    composer: Any, requests: list[tuple[int, float]], settings: TakeSettings, primer: Notes | None, *, logits: bool
) -> tuple[dict[tuple[int, float], str], dict[tuple[int, float], str]]:
    """Digest of every take's notes, and of its logits where asked for."""
    takes: dict[tuple[int, float], str] = {}
    traces: dict[tuple[int, float], str] = {}

    def on_take(index: int, notes: Notes) -> None:
        assert requests[index] not in takes
        columns = (notes.onset_seconds, notes.duration_seconds, notes.pitch, notes.velocity)
        takes[requests[index]] = hashlib.sha256(b"".join(column.tobytes() for column in columns)).hexdigest()

    def on_logits(index: int, values: Any) -> None:
        traces[requests[index]] = hashlib.sha256(values.tobytes()).hexdigest()

    composer.compose(requests, settings, primer, on_take, lambda: False, **({"on_logits": on_logits} if logits else {}))
    assert set(takes) == set(requests)
    return takes, traces


@pytest.mark.parametrize("family", ["events", "tutorial", "ready"])
def test_logits_are_the_same_bits_at_1_7_64_and_1000_seeds(
    family: str, request: pytest.FixtureRequest, primer: Notes
) -> None:
    composer = request.getfixturevalue(f"{family}_composer")
    start = primer if family == "tutorial" else None
    everything = [(seed, 1.0) for seed in range(1000)]
    takes, traces = composed(composer, everything, _SETTINGS, start, logits=True)
    # Of a trained model two seeds may choose the same few notes.
    assert len(set(takes.values())) >= (990 if family == "ready" else 1000)
    assert len(set(traces.values())) >= (990 if family == "ready" else 1000)
    for requests in (everything[3:4], everything[:7][::-1], everything[500:564]):
        fewer_takes, fewer_traces = composed(composer, requests, _SETTINGS, start, logits=True)
        assert fewer_traces == {key: traces[key] for key in requests}
        assert fewer_takes == {key: takes[key] for key in requests}
        # Without the logits it is another compiled program; the music must be the same.
        untraced, _ = composed(composer, requests, _SETTINGS, start, logits=False)
        assert untraced == fewer_takes


@pytest.mark.parametrize("family", ["events", "tutorial"])
def test_a_sweep_shares_blocks_without_changing_a_take(
    family: str, request: pytest.FixtureRequest, primer: Notes
) -> None:
    composer = request.getfixturevalue(f"{family}_composer")
    settings = TakeSettings(length=20, top_k=30, top_p=0.95)
    sweep = [(seed, temperature) for temperature in (0.6, 1.0, 1.4) for seed in range(5)]
    together, _ = composed(composer, sweep, settings, primer, logits=False)
    assert len(set(together.values())) == 15
    alone, _ = composed(composer, sweep[7:8], settings, primer, logits=False)
    assert alone[sweep[7]] == together[sweep[7]]


def composed_elsewhere(
    folder: Path, models: dict[str, Checkpoint], seeds: list[int], **environment: str
) -> dict[str, list[str]]:
    """Digests of the logits that a process of its own finds, for each model in the order of the seeds."""
    for name, checkpoint in models.items():
        (folder / name).write_bytes(checkpoint.to_bytes())
    program = Path(__file__).with_name("compose_in_process.py")
    command = [sys.executable, str(program), str(folder), *map(str, seeds)]
    own = {**os.environ, **environment}
    done = subprocess.run(command, check=True, timeout=300, capture_output=True, text=True, env=own)
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_another_process_composes_the_same(
    events_checkpoint: Checkpoint,
    tutorial_checkpoint: Checkpoint,
    events_composer: Any,
    tutorial_composer: Any,
    primer: Notes,
    tmp_path: Path,
) -> None:
    models = {"events": events_checkpoint, "tutorial": tutorial_checkpoint}
    theirs = composed_elsewhere(tmp_path, models, [2, 0, 1])
    for name, composer in (("events", events_composer), ("tutorial", tutorial_composer)):
        _, traces = composed(composer, [(seed, 1.0) for seed in range(3)], _SETTINGS, primer, logits=True)
        assert theirs[name] == [traces[seed, 1.0] for seed in (2, 0, 1)]


def test_under_jax_another_process_and_other_company_change_nothing(
    events_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    jax = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    models = {"events": events_checkpoint}
    few = composed_elsewhere(tmp_path, models, [2, 0, 1], **jax)["events"]
    many = composed_elsewhere(tmp_path, models, list(range(70)), **jax)["events"]
    assert len(set(many)) == 70
    assert few == [many[seed] for seed in (2, 0, 1)]
