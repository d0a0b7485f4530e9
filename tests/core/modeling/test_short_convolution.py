"""The short convolution, against numpy's and against itself in pieces."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.modeling.backend import to_numpy
from core.modeling.short_convolution import nothing_before, short_convolution


def _values(rows: int, time: int, width: int, taps: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng([rows, time, width, taps])
    shapes = ((rows, time, width), (taps, width))
    flow, kernel = (generator.normal(size=shape).astype(np.float32) for shape in shapes)
    return flow, kernel


@settings(max_examples=25)
@given(rows=st.integers(1, 3), time=st.integers(1, 12), width=st.integers(1, 5), taps=st.integers(2, 6))
def test_each_value_meets_its_own_past(rows: int, time: int, width: int, taps: int) -> None:
    flow, kernel = _values(rows, time, width, taps)
    blended, after = short_convolution(flow, kernel, None)
    assert after is None
    expected = flow.copy()
    for row in range(rows):
        for value in range(width):
            # numpy's first tap meets the present, the last one of ours does.
            expected[row, :, value] += np.convolve(flow[row, :, value], kernel[::-1, value])[:time]
    np.testing.assert_allclose(to_numpy(blended), expected, atol=1e-5)


@settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=5), taps=st.integers(2, 6))
def test_in_pieces_as_at_once(lengths: list[int], taps: int) -> None:
    flow, kernel = _values(2, sum(lengths), 3, taps)
    whole = to_numpy(short_convolution(flow, kernel, None)[0])
    before, at = nothing_before(2, 3, taps), 0
    for length in lengths:
        blended, before = short_convolution(flow[:, at : at + length], kernel, before)
        np.testing.assert_allclose(to_numpy(blended), whole[:, at : at + length], atol=1e-6)
        assert before.shape == (2, taps - 1, 3)
        at += length


def test_a_kernel_of_zeros_adds_nothing() -> None:
    flow, kernel = _values(2, 7, 3, 4)
    np.testing.assert_array_equal(to_numpy(short_convolution(flow, 0 * kernel, None)[0]), flow)
