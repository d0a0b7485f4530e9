"""Steps that nobody has seen yet, told by how fast a device multiplies."""

from __future__ import annotations

import pytest

from core.training.product_speed import (
    ProductSpeed,
    predicted_step_seconds,
    predicted_tutorial_seconds,
    recurrent_product,
)
from core.training.settings import Conv1dSettings, GruSettings, LstmSettings, TutorialSettings


def test_the_product_of_a_recurrence_is_that_of_its_gates() -> None:
    assert recurrent_product(LstmSettings(units=512, batch_size=32, layers=2)) == (32, 512, 2048)
    assert recurrent_product(GruSettings(units=256, batch_size=16)) == (16, 256, 768)
    assert recurrent_product(Conv1dSettings()) is None


def test_a_recurrence_takes_as_long_as_its_own_product_and_others_as_a_large_one() -> None:
    usual, narrow, slow = ProductSpeed(150, 100), ProductSpeed(150, 50), ProductSpeed(75, 50)
    recurrent = LstmSettings(optimizer="adamw")
    assert predicted_step_seconds(recurrent, narrow) == pytest.approx(2 * predicted_step_seconds(recurrent, usual))
    convolutions = Conv1dSettings()
    assert predicted_step_seconds(convolutions, narrow) == predicted_step_seconds(convolutions, usual)
    assert predicted_step_seconds(convolutions, slow) == pytest.approx(2 * predicted_step_seconds(convolutions, usual))
    article, few, many = TutorialSettings(), {"windows": 1_000}, {"windows": 100_000}
    assert predicted_tutorial_seconds(article, few, usual) < predicted_tutorial_seconds(article, many, usual)
    assert predicted_tutorial_seconds(article, many, usual) < predicted_tutorial_seconds(article, many, slow)


def test_muon_takes_the_same_time_for_a_batch_of_any_size() -> None:
    speed = ProductSpeed(150, 100)
    more = [
        predicted_step_seconds(LstmSettings(batch_size=rows, optimizer="muon"), speed)
        - predicted_step_seconds(LstmSettings(batch_size=rows, optimizer="adamw"), speed)
        for rows in (4, 64)
    ]
    assert more[0] > 0
    assert more[0] == pytest.approx(more[1])
