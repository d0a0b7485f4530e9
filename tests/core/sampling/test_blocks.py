"""Rows handed from take to take: every take gets its own numbers, all of them, once, however the rows are shared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.sampling.blocks import ChunkInput, ChunkOutput, CompositionInterrupted, run_blocks
from core.sampling.uniforms import Uniforms


class _Echo:
    """Takes that draw their own uniform numbers, times the temperature; the first of them decides how many."""

    def __init__(self, rows: int, steps: int) -> None:
        self.rows, self.steps = rows, steps
        self._left = np.zeros(rows, int)
        self.idle_steps = self.ran_steps = 0

    def run(self, wanted: ChunkInput) -> ChunkOutput:
        begun, values, drew = np.full(self.rows, -1, np.int32), [], []
        for step in range(self.steps):
            begins = (self._left == 0) & wanted.staged & (begun < 0)
            begun[begins] = step
            if not (self._left.any() or begins.any()):
                break
            row_values = np.zeros(self.rows, np.float32)
            for row in range(self.rows):
                turn, at = (0, step) if begun[row] < 0 else (1, step - begun[row])
                number = wanted.uniforms[turn, at, row]
                if begins[row]:
                    self._left[row] = length_of(number)
                row_values[row] = number * wanted.temperatures[turn, row]
            drew.append(self._left > 0)
            values.append(row_values)
            self.ran_steps += self.rows
            self.idle_steps += int((self._left == 0).sum())
            self._left = np.maximum(self._left - 1, 0)
        shape = (-1, self.rows)
        return ChunkOutput(
            np.reshape(values, shape).astype(np.float32), np.reshape(drew, shape).astype(bool), begun, self._left == 0
        )

    def state(self) -> list[NDArray[np.generic]]:
        return [self._left]


def length_of(number: float) -> int:
    return 1 + int(number * 30)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 40)), min_size=1, max_size=3), st.integers(0, 40), st.data()
)
def test_every_take_gets_its_own_numbers_once(shapes: list[tuple[int, int]], takes: int, data: st.DataObject) -> None:
    loops = [_Echo(rows, steps) for rows, steps in shapes]
    requests = [(data.draw(st.integers(0, 2**32 - 1)), 1.0 + index / 64) for index in range(takes)]
    made: dict[int, NDArray[np.generic]] = {}

    def on_finished(index: int, values: NDArray[np.generic], logits: NDArray[np.float32] | None) -> None:
        assert index not in made
        assert logits is None
        made[index] = values

    run_blocks(loops, requests, on_finished, lambda: False)
    assert sorted(made) == list(range(takes))
    for index, (seed, temperature) in enumerate(requests):
        numbers = Uniforms(seed).take(30)
        expected = numbers[: length_of(numbers[0])] * np.float32(temperature)
        assert (made[index] == expected).all()


def test_rows_do_not_idle_while_takes_wait() -> None:
    """Takes of 15 steps at the mean in runs of 8: filled only between runs, rows would idle a fifth of the time."""
    loop = _Echo(8, 8)
    run_blocks([loop], [(seed, 1.0) for seed in range(2_000)], lambda *_: None, lambda: False)
    assert loop.idle_steps < 0.06 * loop.ran_steps


def test_takes_that_are_done_are_handed_over_before_an_interruption() -> None:
    made: list[int] = []
    with pytest.raises(CompositionInterrupted):
        run_blocks(
            [_Echo(4, 8)],
            [(seed, 1.0) for seed in range(50)],
            lambda index, *_: made.append(index),
            lambda: len(made) > 9,
        )
    assert 10 <= len(made) < 50


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=20), st.integers(0, 2**32 - 1))
def test_numbers_ahead_stay_the_next_ones(asked: list[tuple[bool, int]], seed: int) -> None:
    everything, at = Uniforms(seed).take(1_050), 0
    numbers = Uniforms(seed)
    for skips, count in asked:
        assert (numbers.ahead(count) == everything[at : at + count]).all()
        if skips:
            numbers.skip(count)
            at += count
