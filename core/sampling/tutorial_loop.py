"""The compiled loop that composes with the article's network.

Each note is predicted from zero state over the last notes, as `predict` on that window does. Windows overlap, so every
note belongs to as many open windows as a window has notes: all of them are advanced together as rows of one product,
and the oldest, complete by then, predicts.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.encoding.tutorial import to_triples
from core.modeling.backend import Tensor, Tree, jit, scan, to_device
from core.modeling.packing import Packing
from core.modeling.recurrence import lstm_cell
from core.modeling.shapes import TUTORIAL_UNITS
from core.modeling.tutorial import HEADS, SCALE
from core.music.notes import PITCH_COUNT, Notes
from core.sampling.blocks import ChunkLoop
from core.sampling.choice import RULED_OUT, choose, truncate
from core.sampling.compiled_loop import CompiledLoop
from core.sampling.settings import TakeSettings
from core.sampling.shaping import Shaping, after_note, after_time, guard_pitches, rule_out_unlikely, stretch_of
from core.sampling.turns import run_turns

_LONGEST_STEP_SECONDS = 10.0
# Closer together than this a pitch cannot be struck twice.
_LEAST_GAP_SECONDS = 0.01
# A take in seconds has at most so many notes for each of them: so a model that never moves on in time ends too.
_MOST_NOTES_PER_SECOND = 100
_LONG_AGO = -1e6
_WEIGHTS = Packing(
    {
        "kernel": np.zeros((3, 4 * TUTORIAL_UNITS), np.float32),
        "recurrent": np.zeros((TUTORIAL_UNITS, 4 * TUTORIAL_UNITS), np.float32),
        "bias": np.zeros(4 * TUTORIAL_UNITS, np.float32),
        "heads_kernel": np.zeros((TUTORIAL_UNITS, PITCH_COUNT + 2), np.float32),
        "heads_bias": np.zeros(PITCH_COUNT + 2, np.float32),
    }
)


def prepare_tutorial(weights: dict[str, NDArray[np.float32]]) -> list[Tensor]:
    """A model's weights in few tensors on the device; the three heads become one product."""
    prepared = {name: weights[f"lstm_0.{name}"] for name in ("kernel", "recurrent", "bias")}
    for part in ("kernel", "bias"):
        prepared[f"heads_{part}"] = np.concatenate([weights[f"{head}.{part}"] for head in HEADS], axis=-1)
    return to_device(_WEIGHTS.pack(prepared))  # type: ignore[no-any-return]  # Keras tensors carry no types


class TutorialProgram:
    """The network's compiled functions for one block width; shared by all models with the same window."""

    def __init__(self, window: int, rows: int, steps: int) -> None:
        self.rows, self.steps, self.window = rows, steps, window
        states = np.zeros((rows, window, TUTORIAL_UNITS), np.float32)
        shape = Shaping.of(TakeSettings(), None).start(rows)
        self._carry = Packing(self._begin(states, np.zeros(3, np.float32), shape))
        self._asked = Packing(asked_for(TakeSettings(), None))
        self._read = jit(self._read_primer)
        self.idle = jit(self._all_done)
        # With top k and top p or without, with shaping or without, with pitch logits returned or not.
        kinds = product((False, True), repeat=3)
        self._chunks = {kind: jit(self._chunk_function(*kind)) for kind in kinds}

    def loops(
        self, count: int, weights: list[Tensor], settings: TakeSettings, primer: Notes | None, *, traced: bool
    ) -> list[ChunkLoop]:
        """Loops that continue the last `window` notes of the same primer, each with rows of its own.

        Their values are triples (pitch, step s, duration s).
        """
        assert primer is not None, "the caller looks"
        last = (to_triples(primer)[-self.window :] / SCALE).astype(np.float32)
        start = self._read(weights, last, Shaping.of(settings, primer).start(self.rows))
        asked = to_device(self._asked.pack(asked_for(settings, primer)))
        chunk = self._chunks[settings.truncates, settings.shapes, traced]
        return [CompiledLoop(self, chunk, weights, start, asked, core) for core in range(count)]

    def unpack(self, carry: list[Tensor]) -> Tree:
        """What a packed carry holds."""
        return self._carry.unpack(carry)

    def _begin(self, states: Tensor, note: Tensor, shape: Tree) -> Tree:
        return {
            "h": states,
            "c": states,
            "oldest": np.zeros(self.rows, np.int32),
            "note": ops.cast(ops.broadcast_to(note, (self.rows, 3)), "float32"),
            "notes": np.zeros(self.rows, np.int32),
            "seconds": np.zeros(self.rows, np.float32),
            "struck": np.full((self.rows, PITCH_COUNT), _LONG_AGO, np.float32),
            "done": np.zeros(self.rows, bool),
            "shape": shape,
        }

    def _read_primer(self, weights: list[Tensor], notes: Tensor, shape: Tree) -> list[Tensor]:
        """All windows after the primer's notes but the last; window j begins with note j and is empty before."""
        prepared = _WEIGHTS.unpack(weights)
        empty = ops.zeros((self.rows, self.window, TUTORIAL_UNITS))

        def step(carry: Tree, note: Tensor) -> tuple[Tree, Tensor]:
            number, h, c = carry
            h, c = self._advance(prepared, ops.broadcast_to(note, (self.rows, 3)), h, c)
            begun = (ops.arange(self.window, dtype="int32") <= number)[:, None]
            return (number + 1, ops.where(begun, h, 0.0), ops.where(begun, c, 0.0)), number

        (_, h, c), _ = scan(step, (np.int32(0), empty, empty), notes[:-1])
        return self._carry.pack({**self._begin(empty, notes[-1], shape), "h": h, "c": c})

    def _advance(self, weights: Tree, note: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """All open windows `[rows, window, 128]` read one scaled note each row `[rows, 3]`."""
        inputs = ops.sum(note[:, :, None] * weights["kernel"], axis=1) + weights["bias"]
        flat = ops.reshape(h, (-1, TUTORIAL_UNITS))
        product = ops.reshape(ops.matmul(flat, weights["recurrent"]), (self.rows, self.window, -1))
        return lstm_cell(product + inputs[:, None, :], c)

    def _predict(self, weights: Tree, h: Tensor) -> Tensor:
        """Pitch logits, step and duration `[rows, 130]` of the oldest windows' states `[rows, 128]`."""
        if self.rows == 1:
            # A product of a single row adds in another order than those of several do; the take's bits must not differ.
            h = ops.repeat(h, 2, axis=0)
        return (ops.matmul(h, weights["heads_kernel"]) + weights["heads_bias"])[: self.rows]

    def _all_done(self, start: list[Tensor]) -> list[Tensor]:
        """Rows that have no take yet."""
        return self._carry.pack({**self._carry.unpack(start), "done": np.ones(self.rows, bool)})

    def _chunk_function(self, truncated: bool, shaped: bool, traced: bool) -> Tree:
        windows = ops.arange(self.window, dtype="int32")
        firsts = ops.arange(self.rows, dtype="int32") * self.window

        def chunk(
            weights: list[Tensor], start: list[Tensor], packed: list[Tensor], asked: list[Tensor], *turns: Tensor
        ) -> Tree:
            prepared, wanted = _WEIGHTS.unpack(weights), self._asked.unpack(asked)

            def step(carry: Tree, uniforms: Tensor, temperatures: Tensor) -> tuple[Tree, Tree]:
                h, c = self._advance(prepared, carry["note"], carry["h"], carry["c"])
                complete = ops.take(ops.reshape(h, (-1, TUTORIAL_UNITS)), firsts + carry["oldest"], axis=0)
                heads = self._predict(prepared, complete)
                after, triple = _draw_note(heads, carry, uniforms, temperatures, wanted, truncated, shaped)
                # The window that has predicted is empty again, and the one that was opened after it is the oldest.
                emptied = (windows == carry["oldest"][:, None])[..., None]
                after.update(
                    h=ops.where(emptied, 0.0, h),
                    c=ops.where(emptied, 0.0, c),
                    oldest=(carry["oldest"] + 1) % self.window,
                )
                # What a finished row draws is thrown away.
                drawn = ops.where(carry["done"][:, None], -1.0, triple)
                return after, (drawn, heads[:, :PITCH_COUNT]) if traced else (drawn,)

            carry, results = run_turns(
                step, lambda carry: carry["done"], self._carry.unpack(start), self._carry.unpack(packed), *turns
            )
            return self._carry.pack(carry), carry["done"], results

        return chunk


def asked_for(settings: TakeSettings, primer: Notes | None) -> dict[str, dict[str, Tensor]]:
    """What a chunk needs to know of the takes' settings."""
    if settings.length_unit == "notes":
        notes, seconds, step = int(settings.length), np.inf, _LONGEST_STEP_SECONDS
    else:
        seconds = settings.length * settings.tempo_factor
        notes, step = max(1, int(seconds * _MOST_NOTES_PER_SECOND)), min(_LONGEST_STEP_SECONDS, seconds / 2)
    return {
        "limits": {
            "notes": np.int32(notes),
            "seconds": np.float32(seconds),
            "step": np.float32(step),
            "longest": np.float32(settings.longest_note * settings.tempo_factor),
            "lowest": np.int32(settings.lowest_pitch),
            "highest": np.int32(settings.highest_pitch),
        },
        "draw": {
            "top_k": np.int32(settings.top_k),
            "top_p": np.float32(settings.top_p),
        },
        "shape": Shaping.of(settings, primer).tensors(),
    }


def _draw_note(
    heads: Tensor,
    carry: Tree,
    uniforms: Tensor,
    temperatures: Tensor,
    wanted: Tree,
    truncated: bool,
    shaped: bool,
) -> tuple[Tree, Tensor]:
    """The next note of each row: pitch drawn, step and duration as predicted, kept within their limits.

    `heads` are `[rows, 130]`: logits of the pitches, then step and duration in seconds.
    """
    limits, draw = wanted["limits"], wanted["draw"]
    step = ops.maximum(heads[:, PITCH_COUNT], 0.0)
    if shaped:
        step = step * stretch_of(carry["shape"], wanted["shape"])
    step = ops.minimum(step, limits["step"])
    duration = ops.minimum(ops.maximum(heads[:, PITCH_COUNT + 1], 0.0), limits["longest"])
    # A pitch that has just been struck cannot be struck again at once; if that were so for all, time moves on.
    pitches = ops.arange(PITCH_COUNT, dtype="int32")
    outside = (pitches < limits["lowest"]) | (pitches > limits["highest"])
    taken = (carry["seconds"] + step)[:, None] - carry["struck"] < _LEAST_GAP_SECONDS
    crowded = ops.all(taken | outside, axis=-1)
    step = ops.where(crowded, _LEAST_GAP_SECONDS, step)
    logits = heads[:, :PITCH_COUNT] / temperatures[:, None]
    if shaped:
        logits = guard_pitches(logits, carry["shape"], wanted["shape"])
    logits = ops.where(outside | (taken & ~crowded[:, None]), RULED_OUT, logits)
    if shaped:
        logits = rule_out_unlikely(logits, wanted["shape"], RULED_OUT)
    if truncated:
        logits = truncate(logits, draw["top_k"], draw["top_p"])
    pitch = choose(logits, uniforms)
    seconds = carry["seconds"] + step
    chosen = pitches == pitch[:, None]
    notes = carry["notes"] + 1
    triple = ops.stack([ops.cast(pitch, "float32"), step, duration], axis=-1)
    shape = carry["shape"]
    if shaped:
        always = step >= 0
        shape = after_note(after_time(shape, step), always, pitch, always)
    after = {
        "note": triple / SCALE,
        "notes": notes,
        "seconds": seconds,
        "struck": ops.where(chosen, seconds[:, None], carry["struck"]),
        "done": carry["done"] | (notes >= limits["notes"]) | (seconds >= limits["seconds"]),
        "shape": shape,
    }
    return after, triple
