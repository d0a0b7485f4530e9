"""What is compiled for a GPU that is absent is the training's own step; what cannot be compiled is said."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.absent_gpu import main, step_and_arguments
from core.modeling.backend import to_numpy
from core.training.settings import EventSettings, parse_training_settings

_SMALL = {"window": 16, "batch_size": 2, "dropout": 0.2, "average": 0.9}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("transformer", {"units": 16, "heads": 2, "layers": 1, "context": 8}),
        ("gru", {"units": 8, "embedding": 8, "sounding": False}),
    ],
)
def test_the_arguments_are_those_of_a_step(family: str, more: dict[str, object]) -> None:
    settings = parse_training_settings(family, {**_SMALL, **more})
    assert isinstance(settings, EventSettings)
    step, (trees, batch, scalars) = step_and_arguments(settings)
    after, loss = step(trees, batch, {**scalars, "rate": np.float32(0.1), "correction": np.float32(1)})
    assert float(to_numpy(loss)) > 0
    assert {name: set(tree) for name, tree in after.items()} == {name: set(tree) for name, tree in trees.items()}
    assert (to_numpy(after["weights"]["output.kernel"]) != trees["weights"]["output.kernel"]).any()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "units"], "'units'; needed is NAME=VALUE"),
        (["--set", "units=7"], "units"),
        (["--family", "tutorial", "--preset", "Article"], "'tutorial' does not read events"),
        (["--preset", "Huge"], "'Huge' is unknown"),
        ([], "pip install 'jax[cuda12]'"),
    ],
)
def test_what_cannot_be_compiled_is_said(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.absent_gpu.find_spec", lambda _: None)
    with pytest.raises(SystemExit):
        main(arguments)
    assert said in capsys.readouterr().err
