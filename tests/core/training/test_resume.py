"""A training that was interrupted or killed and taken up again ends with the same bits as one that was not."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.datasets.corpus import Corpus
from core.modeling.archive import pack, unpack
from core.modeling.checkpoints import Checkpoint
from core.training import pulse
from core.training.resume import corpus_digest, read_resume
from core.training.run import TrainingInterrupted, train
from core.training.settings import (
    Conv1dSettings,
    FamilySettings,
    GruSettings,
    LstmSettings,
    TransformerSettings,
    TutorialSettings,
)
from tests.core.training import train_in_process
from tests.core.training.train_in_process import FAMILIES
from tests.tools.haste import hasty_environment

pytestmark = pytest.mark.slow

_COMMON = {
    "dropout": 0.2,
    "steps": 10,
    "window": 32,
    "batch_size": 4,
    "warmup_steps": 3,
    "evaluate_every": 5,
    "seed": 1,
}
_LSTM = LstmSettings.parse({**_COMMON, "embedding": 8, "units": 16, "layers": 2})
_TRANSFORMER = TransformerSettings.parse(
    {**_COMMON, "units": 16, "heads": 2, "layers": 1, "context": 20, "average": 0.9, "precision": "bfloat16"}
)
_GRU = GruSettings.parse({**_COMMON, "embedding": 8, "units": 16, "average": 0.9})
_CONV1D = Conv1dSettings.parse({**_COMMON, "units": 16, "layers": 2, "kernel": 3})
_TUTORIAL = TutorialSettings(files=0, epochs=3, batch_size=8, patience=2, seed=1)


@pytest.mark.parametrize("settings", [_LSTM, _GRU, _CONV1D, _TRANSFORMER, _TUTORIAL], ids=lambda each: each.family)
def test_interrupted_again_and_again_it_ends_with_the_same_bits(
    settings: FamilySettings,
    make_corpus: Callable[..., Corpus],
    make_hooks: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus = make_corpus(train=4, validation=20)
    undisturbed = make_hooks()
    clock = undisturbed
    paused = 0.0
    # What is told of takes a second each time; nothing else takes any time.
    monkeypatch.setattr(pulse, "time", SimpleNamespace(monotonic=lambda: clock.told + paused))
    expected = train(settings, corpus, undisturbed)
    assert [point.seconds for point in undisturbed.points] == [5, 10] or settings is _TUTORIAL
    # Told to stop between two steps, in the middle of an evaluation, and soon after having begun again.
    stops = sorted({3, undisturbed.calls // 2, undisturbed.calls // 2 + 2, undisturbed.calls - 1})
    if settings in (_GRU, _CONV1D):  # these differ from the others in nothing but their networks
        stops = [undisturbed.calls // 2]
    hooks = clock = make_hooks(lambda calls: calls in stops)
    for _ in stops:
        with pytest.raises(TrainingInterrupted):
            train(settings, corpus, hooks)
        paused += 10_000
    result = train(settings, corpus, hooks)
    for kind in ("best", "last"):
        ours, theirs = getattr(result, kind), getattr(expected, kind)
        assert ours.to_bytes() == theirs.to_bytes()
        assert hooks.checkpoints[kind].content_hash == undisturbed.checkpoints[kind].content_hash
    # The seconds too: pauses do not count.
    assert {(point.step, point.seconds, tuple(point.values.items())) for point in hooks.points} == {
        (point.step, point.seconds, tuple(point.values.items())) for point in undisturbed.points
    }
    assert (result.steps, result.stopped_early) == (expected.steps, expected.stopped_early)


def test_killed_and_resumed_in_another_process_they_end_with_the_same_bytes(
    tmp_path: Path, make_corpus: Callable[..., Corpus]
) -> None:
    (tmp_path / "corpus").write_bytes(make_corpus(train=4, validation=4).to_bytes())
    for family in FAMILIES:
        (tmp_path / "killed" / family).mkdir(parents=True)
        (tmp_path / "other" / family).mkdir(parents=True)
        (tmp_path / "other" / family / "undisturbed").touch()
    killed = {family: _start(tmp_path, "killed", family) for family in FAMILIES}
    try:
        for family, process in killed.items():
            _await(tmp_path / "killed" / family / "holds", process)
    finally:
        for process in killed.values():
            process.kill()
            process.wait()
    assert not list(tmp_path.glob("*/*/result"))
    # Both in processes that compute alike: a test before this one may have left its own with one thread.
    for process in [_start(tmp_path, folder, *FAMILIES) for folder in ("killed", "other")]:
        assert process.wait(timeout=600) == 0
    for family in FAMILIES:
        ours, theirs = (tmp_path / "killed" / family, tmp_path / "other" / family)
        assert "goes on from its resume point" in (ours / "log").read_text()
        assert "goes on" not in (theirs / "log").read_text()
        assert (ours / "result").read_bytes() == (theirs / "result").read_bytes(), family
        weights = Checkpoint.from_bytes((theirs / "result").read_bytes()).weights
        assert all(np.isfinite(array).all() for array in weights.values())


def test_a_resume_point_that_does_not_fit_is_left_aside(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object]
) -> None:
    corpus = make_corpus(train=1, validation=0, notes=40)
    settings = TutorialSettings(epochs=1, seed=1)
    expected = train(settings, corpus, make_hooks()).last.content_hash
    hooks = make_hooks(lambda calls: calls == 1)
    with pytest.raises(TrainingInterrupted):
        train(TutorialSettings(epochs=1, seed=2), corpus, hooks)
    other = make_hooks()
    other.resume = hooks.resume
    assert train(settings, corpus, other).last.content_hash == expected
    assert any("other settings" in line for line in other.lines)

    document, arrays = unpack(hooks.resume)
    own, data = TutorialSettings.parse({**document["settings"]}), corpus_digest(corpus)
    later = pack({**document, "format": document["format"] + 1}, arrays)
    for resume, words in ((b"damaged", "damaged"), (later, "another version"), (hooks.resume, "goes on from")):
        other.resume = resume
        assert (read_resume(other, own, data) is None) == (words != "goes on from")
        assert words in other.lines[-1]
    assert read_resume(other, own, "another") is None


def test_a_resume_point_of_before_there_were_plans_goes_on_with_the_settings_steps(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object]
) -> None:
    corpus, undisturbed = make_corpus(), make_hooks()
    expected = train(_GRU, corpus, undisturbed)
    hooks = make_hooks(lambda calls: calls == 4)
    with pytest.raises(TrainingInterrupted):
        train(_GRU, corpus, hooks)
    document, arrays = unpack(hooks.resume)
    for name in ("steps", "evaluate_every", "planned"):
        del document["place"][name]
    del document["settings"]["minutes"]
    hooks.resume = pack(document, arrays)
    result = train(_GRU, corpus, hooks)
    assert "goes on from its resume point" in "".join(hooks.lines)
    assert result.last.to_bytes() == expected.last.to_bytes()


def test_resume_points_come_in_time_and_in_evaluations_too(
    make_corpus: Callable[..., Corpus], make_hooks: Callable[..., object]
) -> None:
    hooks = make_hooks()
    train(_LSTM, make_corpus(train=4, validation=40), hooks, resume_seconds=0)
    # One for each look: 10 before steps, and several in the evaluations after steps 5 and 10.
    assert {step: hooks.resume_steps.count(step) > 2 for step in (3, 5, 10)} == {3: False, 5: True, 10: True}
    assert set(hooks.resume_steps) == set(range(11))


def _start(place: Path, folder: str, *families: str) -> subprocess.Popen[bytes]:
    program = [sys.executable, train_in_process.__file__]
    return subprocess.Popen([*program, str(place / "corpus"), str(place / folder), *families], env=hasty_environment())


def _await(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 600
    while not path.exists():
        assert process.poll() is None, "the training ended before it was killed"
        assert time.monotonic() < deadline, "the training did not begin"
        time.sleep(0.02)
