"""What one library trained, the other reads the same; and products in bfloat16 are used, and near."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.datasets.corpus import Corpus
from core.modeling.checkpoints import Checkpoint
from core.training.events_run import EventTraining
from tests.core.training import exchange
from tests.tools.haste import hasty_environment

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("uncompiled")]


@pytest.fixture(autouse=True)
def _read_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits are read uncompiled, too."""
    monkeypatch.setattr(exchange, "jit", lambda function, **_: function)


def test_both_libraries_give_the_same_logits(tmp_path: Path, make_corpus: Callable[..., Corpus]) -> None:
    corpus = make_corpus(train=2, validation=1)
    (tmp_path / "corpus").write_bytes(corpus.to_bytes())
    models = {family: exchange.trained(family, corpus) for family in exchange.FAMILIES}
    for family, model in models.items():
        (tmp_path / f"{family}.cadenza").write_bytes(model.to_bytes())
    environment = hasty_environment(KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
    subprocess.run([sys.executable, exchange.__file__, str(tmp_path)], check=True, timeout=600, env=environment)
    with np.load(tmp_path / "jax.npz") as arrays:
        found = dict(arrays)
    events = exchange.events_of(corpus)
    for family, model in models.items():
        theirs = Checkpoint.from_bytes((tmp_path / f"jax-{family}.cadenza").read_bytes())
        of_ours, of_theirs = exchange.logits_of(events, model, theirs)
        assert of_ours[of_ours > -500].std() > 0.1, family
        for said, expected in (("theirs", of_ours), ("stepped", of_ours), ("own", of_theirs)):
            np.testing.assert_allclose(found[f"{family}_{said}"], expected, rtol=0, atol=1e-4, err_msg=family)
    assert found["attention_apart"] < 1e-5
    assert found["attends_without_cudnn"]
    assert found["full_memory"]


@pytest.mark.parametrize("family", exchange.FAMILIES)
def test_bfloat16_is_used_and_near(
    family: str, make_corpus: Callable[..., Corpus], make_hooks: Callable[..., Any]
) -> None:
    corpus = make_corpus(train=2, validation=1)
    losses, weights = {}, {}
    for precision in ("float32", "bfloat16"):
        settings = exchange.settings_of(family, precision=precision)
        training = EventTraining(settings, corpus, hooks := make_hooks(), 60)
        for _ in range(3):
            training._advance()
        losses[precision], weights[precision] = hooks.latest.train_loss, training._measured()
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
    # Other products, other gradients: far beyond what float32 itself rounds off.
    apart = max(np.abs(weights["bfloat16"][name] - array).max() for name, array in weights["float32"].items())
    assert apart > 1e-3
