"""Operations of a training's products, counted by hand."""

from __future__ import annotations

import pytest

from core.training.flops import training_flops
from core.training.settings import LstmSettings, TutorialSettings


def test_counts_the_products_of_an_lstm() -> None:
    settings = LstmSettings(
        embedding=128,
        units=512,
        sounding=False,
        optimizer="adamw",
        steps=10,
        batch_size=32,
        window=128,
        evaluate_every=10,
    )
    per_event = 512 * 2048 + 512 * 390
    assert training_flops(settings, {}) == 6 * per_event * 10 * 32 * 128
    held_out = training_flops(settings, {"held_out_events": 30_000}) - training_flops(settings, {})
    assert held_out == pytest.approx(2 * per_event * 30_000)
    # Muon: two products with each of eight gates' matrices and one of their squares, five times a step.
    muon = settings.model_copy(update={"optimizer": "muon"})
    kernels, recurrent = 2 * 128**2 * 512 + 128**3, 3 * 512**3
    of_muon = training_flops(muon, {}) - training_flops(settings, {})
    assert of_muon == pytest.approx(10 * 5 * 2 * 4 * (kernels + recurrent))
    # A large dataset's interval figure uses a part of it only.
    assert training_flops(settings, {"held_out_events": 1e9}) == training_flops(settings, {"held_out_events": 200_000})


def test_counts_the_products_of_the_article() -> None:
    per_note = 3 * 512 + 128 * 512 + 128 * 130
    assert training_flops(TutorialSettings(epochs=2), {"windows": 1000}) == 6 * per_note * 25 * 2000
