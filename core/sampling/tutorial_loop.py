"""The compiled loop that composes with the article's network.

Each note is predicted from zero state over the last notes, as `predict` on that window does. Windows overlap, so every
note belongs to as many open windows as a window has notes: all of them are advanced together as rows of one product,
and the oldest, complete by then, predicts.
"""

from __future__ import annotations

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree, jit, scan, select, to_device, to_numpy
from core.modeling.recurrence import lstm_cell
from core.modeling.shapes import TUTORIAL_UNITS
from core.modeling.tutorial import SCALE, tutorial_heads
from core.music.notes import PITCH_COUNT
from core.sampling.blocks import ChunkOutput
from core.sampling.choice import RULED_OUT, choose, truncate
from core.sampling.settings import TakeSettings

_LONGEST_STEP_SECONDS = 10.0
_LONGEST_NOTE_SECONDS = 20.0
# Closer together than this a pitch cannot be struck twice.
_LEAST_GAP_SECONDS = 0.01
# A take in seconds has at most so many notes for each of them: so a model that never moves on in time ends too.
_MOST_NOTES_PER_SECOND = 100
_LONG_AGO = -1e6


class TutorialProgram:
    """The network's compiled functions for one block width; shared by all compositions with that network."""

    def __init__(self, weights: dict[str, NDArray[np.float32]], window: int, rows: int, least_steps: int) -> None:
        self.rows, self.window = rows, window
        # A multiple of the window, so that in all rows, whenever they began, the same window is the oldest.
        self.steps = -(-least_steps // window) * window
        self.weights: Tree = to_device(weights)
        self._read = jit(self._read_primer)
        self._chunks = {
            (truncated, traced): jit(self._chunk_function(truncated, traced))
            for truncated in (False, True)
            for traced in (False, True)
        }

    def chunk(self, *, truncated: bool, traced: bool) -> Tree:
        """The compiled chunk: with top k and top p or without, with pitch logits returned or without."""
        return self._chunks[truncated, traced]

    def start(self, triples: NDArray[np.float32]) -> Tree:
        """The state from which every take begins, after a primer `[n, 3]` of at least as many notes as the window."""
        last = (triples[-self.window :] / SCALE).astype(np.float32)
        h, c = self._read(self.weights, np.repeat(last[:-1, None, :], self.rows, axis=1))
        return to_device(
            {
                "h": h,
                "c": c,
                "note": np.repeat(last[-1:], self.rows, axis=0),
                "notes": np.zeros(self.rows, np.int32),
                "seconds": np.zeros(self.rows, np.float32),
                "struck": np.full((self.rows, PITCH_COUNT), _LONG_AGO, np.float32),
                "done": np.zeros(self.rows, bool),
            }
        )

    def _read_primer(self, weights: Tree, notes: Tensor) -> tuple[Tensor, Tensor]:
        """All windows after the primer's notes but the last; window j begins with note j and is empty before."""
        empty = ops.zeros((self.rows, self.window, TUTORIAL_UNITS))

        def step(carry: Tree, note: Tensor) -> tuple[Tree, Tensor]:
            number, h, c = carry
            h, c = self._advance(weights, note, h, c)
            begun = (ops.arange(self.window, dtype="int32") <= number)[:, None]
            return (number + 1, ops.where(begun, h, 0.0), ops.where(begun, c, 0.0)), number

        (_, h, c), _ = scan(step, (np.int32(0), empty, empty), notes)
        return h, c

    def _advance(self, weights: Tree, note: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """All open windows `[rows, window, 128]` read one scaled note each row `[rows, 3]`."""
        kernel = weights["lstm_0.kernel"]
        inputs = ops.sum(note[:, :, None] * kernel, axis=1) + weights["lstm_0.bias"]
        flat = ops.reshape(h, (-1, TUTORIAL_UNITS))
        product = ops.reshape(ops.matmul(flat, weights["lstm_0.recurrent"]), (self.rows, self.window, -1))
        return lstm_cell(product + inputs[:, None, :], c)

    def _chunk_function(self, truncated: bool, traced: bool) -> Tree:
        def chunk(
            weights: Tree, carry: Tree, start: Tree, fresh: Tensor, limits: Tree, draw: Tree, uniforms: Tensor
        ) -> Tree:
            carry = select(fresh, start, carry)

            def step(outer: Tree, uniform: Tensor) -> tuple[Tree, Tree]:
                slot, carry = outer
                h, c = self._advance(weights, carry["note"], carry["h"], carry["c"])
                oldest = (ops.arange(self.window, dtype="int32") == slot)[:, None]
                heads = tutorial_heads(weights, ops.take(h, slot, axis=1))
                after, triple = _draw_note(heads, carry, uniform, limits, draw, truncated)
                after.update(h=ops.where(oldest, 0.0, h), c=ops.where(oldest, 0.0, c))
                counts = ~carry["done"]
                return ((slot + 1) % self.window, after), (triple, counts, heads["pitch"]) if traced else (
                    triple,
                    counts,
                )

            (_, carry), drawn = scan(step, (np.int32(0), carry), uniforms)
            return carry, drawn

        return chunk


def _draw_note(
    heads: Tree, carry: Tree, uniform: Tensor, limits: Tree, draw: Tree, truncated: bool
) -> tuple[Tree, Tensor]:
    """The next note of each row: pitch drawn, step and duration as predicted, kept within their limits."""
    step = ops.minimum(ops.maximum(heads["step"], 0.0), limits["step"])
    duration = ops.minimum(ops.maximum(heads["duration"], 0.0), _LONGEST_NOTE_SECONDS)
    # A pitch that has just been struck cannot be struck again at once; if that were so for all, time moves on.
    taken = (carry["seconds"] + step)[:, None] - carry["struck"] < _LEAST_GAP_SECONDS
    crowded = ops.all(taken, axis=-1)
    step = ops.where(crowded, _LEAST_GAP_SECONDS, step)
    logits = heads["pitch"] / draw["temperature"][:, None]
    logits = ops.where(taken & ~crowded[:, None], RULED_OUT, logits)
    if truncated:
        logits = truncate(logits, draw["top_k"], draw["top_p"])
    pitch = choose(logits, uniform)
    seconds = carry["seconds"] + step
    chosen = ops.arange(PITCH_COUNT, dtype="int32") == pitch[:, None]
    notes = carry["notes"] + 1
    triple = ops.stack([ops.cast(pitch, "float32"), step, duration], axis=-1)
    after = {
        "note": triple / SCALE,
        "notes": notes,
        "seconds": seconds,
        "struck": ops.where(chosen, seconds[:, None], carry["struck"]),
        "done": carry["done"] | (notes >= limits["notes"]) | (seconds >= limits["seconds"]),
    }
    return after, triple


class TutorialLoop:
    """One composition's block of rows; see `ChunkLoop`. Values are triples (pitch, step s, duration s)."""

    def __init__(
        self, program: TutorialProgram, primer: NDArray[np.float32], settings: TakeSettings, *, traced: bool = False
    ) -> None:
        self.rows, self.steps = program.rows, program.steps
        self._weights = program.weights
        self._chunk = program.chunk(truncated=settings.top_k > 0 or settings.top_p < 1, traced=traced)
        self._start = self._carry = program.start(primer)
        if settings.length_unit == "notes":
            notes, seconds, step = int(settings.length), np.inf, _LONGEST_STEP_SECONDS
        else:
            seconds = settings.length * settings.tempo_factor
            notes = max(1, int(seconds * _MOST_NOTES_PER_SECOND))
            step = min(_LONGEST_STEP_SECONDS, seconds / 2)
        self._limits = {"notes": np.int32(notes), "seconds": np.float32(seconds), "step": np.float32(step)}
        self._draw = {"top_k": np.int32(settings.top_k), "top_p": np.float32(settings.top_p)}

    def run(
        self, fresh: NDArray[np.bool_], temperatures: NDArray[np.float32], uniforms: NDArray[np.float32]
    ) -> ChunkOutput:
        """Some steps of every row."""
        draw = {**self._draw, "temperature": temperatures}
        self._carry, drawn = self._chunk(self._weights, self._carry, self._start, fresh, self._limits, draw, uniforms)
        counts = to_numpy(drawn[1]).sum(axis=0).astype(np.int32)
        logits = to_numpy(drawn[2]) if len(drawn) > 2 else None
        return ChunkOutput(to_numpy(drawn[0]), counts, to_numpy(self._carry["done"]), logits)
