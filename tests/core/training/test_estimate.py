"""Estimates before submitting."""

from __future__ import annotations

import pytest

from core.training.estimate import ProductSpeed, estimate_seconds, fitting_steps, recurrent_product, training_flops
from core.training.settings import Conv1dSettings, GruSettings, LstmSettings, TutorialSettings

SPEEDS = {gflops: ProductSpeed(gflops, 0.6 * gflops) for gflops in (50, 150, 300, 500)}


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


def test_time_grows_with_the_work_and_falls_with_the_speed() -> None:
    stats = {"notes": 20_000.0, "held_out_events": 30_000.0}
    few, many = LstmSettings(steps=100), LstmSettings(steps=1000)
    slow, usual, fast = (SPEEDS[gflops] for gflops in (50, 150, 300))
    assert estimate_seconds(few, stats, usual) < estimate_seconds(many, stats, usual)
    assert estimate_seconds(many, stats, usual) < estimate_seconds(many, stats, slow)
    assert estimate_seconds(many, stats, usual) / estimate_seconds(many, stats, fast) < 2  # the start takes as long


def test_a_time_limit_ends_what_would_take_longer() -> None:
    stats = {"notes": 20_000.0, "held_out_events": 30_000.0}
    whole = LstmSettings(steps=10_000, evaluate_every=1_000)
    seconds = estimate_seconds(whole, stats, SPEEDS[50])
    assert fitting_steps(whole, stats, SPEEDS[50]) == 10_000
    half = whole.model_copy(update={"minutes": seconds / 120})
    assert estimate_seconds(half, stats, SPEEDS[50]) == pytest.approx(seconds / 2)
    assert fitting_steps(half, stats, SPEEDS[50]) == pytest.approx(5_000 * 0.9, rel=0.05)
    assert estimate_seconds(half, stats, SPEEDS[500]) == estimate_seconds(whole, stats, SPEEDS[500])
    assert fitting_steps(half, stats, SPEEDS[500]) == 10_000
    assert fitting_steps(whole.model_copy(update={"minutes": 0.01}), stats, SPEEDS[50]) == 1
    assert fitting_steps(half, {}, SPEEDS[50]) > 0


def test_a_recurrence_takes_as_long_as_its_own_product_says() -> None:
    assert recurrent_product(LstmSettings(units=512, batch_size=32, layers=2)) == (32, 512, 2048)
    assert recurrent_product(GruSettings(units=256, batch_size=16)) == (16, 256, 768)
    assert recurrent_product(Conv1dSettings()) is None
    whole, half = (ProductSpeed(150, recurrent) for recurrent in (100, 50))
    recurrent = LstmSettings(steps=1_000, optimizer="adamw")
    start = 2 * estimate_seconds(recurrent, {}, whole) - estimate_seconds(recurrent, {}, half)
    assert 0 < start < 10
    assert estimate_seconds(Conv1dSettings(), {}, whole) == estimate_seconds(Conv1dSettings(), {}, half)
