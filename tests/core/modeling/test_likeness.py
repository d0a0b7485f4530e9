"""Events begin alike where they are: neighbours more than others, and octaves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.encoding.performance import BEGIN, NOTE_OFF, SIZE, TIME_SHIFT, VELOCITY
from core.modeling.initial import initial_weights
from core.modeling.likeness import alike_where_events_are
from core.training.settings import Conv1dSettings

_WIDTH = 4096  # so that what correlates by chance lies far below


@pytest.fixture(scope="module")
def correlation() -> NDArray[np.float64]:
    return np.corrcoef(alike_where_events_are(np.random.default_rng(1), _WIDTH))


def test_numbers_are_as_wide_as_even_ones() -> None:
    numbers = alike_where_events_are(np.random.default_rng(1), _WIDTH)
    assert numbers.shape == (SIZE, _WIDTH)
    np.testing.assert_allclose(numbers.std(axis=1), 1 / np.sqrt(3), rtol=0.1)
    np.testing.assert_allclose(numbers.mean(axis=1), 0, atol=0.05)


@pytest.mark.parametrize("first", [0, NOTE_OFF])
def test_pitches_resemble_neighbours_and_octaves(correlation: NDArray[np.float64], first: int) -> None:
    of_pitch = correlation[first + 60, first : first + 128]
    assert of_pitch[61] == pytest.approx(0.5 * _fall(1 / 48), abs=0.06)
    assert of_pitch[67] == pytest.approx(0.5 * _fall(7 / 48), abs=0.06)
    assert of_pitch[72] == pytest.approx(0.3 + 0.5 * _fall(12 / 48), abs=0.06)
    assert abs(of_pitch[97]) < 0.06
    assert abs(correlation[60, NOTE_OFF + 60]) < 0.06


def test_amounts_resemble_their_neighbours_only(correlation: NDArray[np.float64]) -> None:
    shifts = correlation[TIME_SHIFT:VELOCITY, TIME_SHIFT:VELOCITY]
    # By the logarithm: 10 and 20 ms are as like as 500 ms and 1 s.
    assert shifts[0, 1] == pytest.approx(shifts[49, 99], abs=0.06)
    assert shifts[98, 99] > 0.7
    assert abs(shifts[0, 99]) < 0.06
    loudness = correlation[VELOCITY:BEGIN, VELOCITY:BEGIN]
    assert loudness[10, 11] == pytest.approx(0.8 * _fall(1 / 32 / 0.6), abs=0.06)
    assert abs(loudness[0, 31]) < 0.06


def test_networks_begin_with_them() -> None:
    weights = initial_weights(Conv1dSettings(units=2048, layers=1, kernel=2))
    for events in (weights["embedding"], weights["output.kernel"].T):
        alike = np.corrcoef(events[[60, 61, 100, TIME_SHIFT + 90, TIME_SHIFT + 91]])
        assert alike[0, 1] == pytest.approx(0.5 * _fall(1 / 48), abs=0.1)
        assert abs(alike[0, 2]) < 0.1
        assert alike[3, 4] > 0.7
    limit = np.sqrt(6 / sum(weights["output.kernel"].shape))
    assert weights["output.kernel"][:, :SIZE].std() == pytest.approx(limit / np.sqrt(3), rel=0.05)


def _fall(distance: float) -> float:
    """The correlation of two sums of waves at this part of the length: a Gauss curve's Fourier transform."""
    return float(np.exp(-2 * (np.pi * distance) ** 2))
