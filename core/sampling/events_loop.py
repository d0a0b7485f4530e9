"""The compiled loop that composes events, for every family that reads and writes them."""

from __future__ import annotations

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.encoding.performance import BEGIN
from core.modeling.backend import Tensor, Tree, jit, scan, select, to_device, to_numpy
from core.modeling.network import Network
from core.sampling.blocks import ChunkOutput
from core.sampling.choice import RULED_OUT, choose, truncate
from core.sampling.grammar import Limits, advance, allowed_events, initial_grammar


class EventsProgram:
    """A network's compiled functions for one block width; shared by all compositions with that network."""

    def __init__(self, network: Network, weights: dict[str, NDArray[np.float32]], rows: int, steps: int) -> None:
        self.rows = rows
        self.steps = steps
        self._network = network
        self.prepared: Tree = jit(network.prepare)(to_device(weights))
        self.feed = jit(self._feed)
        self._chunks = {
            (truncated, traced): jit(self._chunk_function(truncated, traced))
            for truncated in (False, True)
            for traced in (False, True)
        }

    def chunk(self, *, truncated: bool, traced: bool) -> Tree:
        """The compiled chunk: with top k and top p or without, with logits returned or without."""
        return self._chunks[truncated, traced]

    def start(self, primer: NDArray[np.uint16] | None) -> Tree:
        """The state and last event from which every take of a composition begins.

        Args:
            primer: events that the network reads first, `BEGIN` included; None begins a piece.
        """
        events = np.array([BEGIN], np.uint16) if primer is None else primer
        state = to_device(self._network.initial_state(self.rows))
        read = events[:-1].astype(np.int32)
        for at in range(0, read.size, self.steps):
            part = read[at : at + self.steps]
            padded = np.zeros(self.steps, np.int32)
            padded[: part.size] = part
            state = self.feed(self.prepared, np.repeat(padded[:, None], self.rows, axis=1), np.int32(part.size), state)
        return {
            "state": state,
            "event": np.full(self.rows, events[-1], np.int32),
            "grammar": initial_grammar(self.rows),
        }

    def _feed(self, prepared: Tree, events: Tensor, count: Tensor, state: Tree) -> Tree:
        """Read `count` of the events `[steps, rows]` without drawing any."""

        def step(carry: Tree, event: Tensor) -> tuple[Tree, Tensor]:
            number, state = carry
            _, after = self._network.step(prepared, event, state)
            return (number + 1, select(number < count, after, state)), number

        (_, state), _ = scan(step, (np.int32(0), state), events)
        return state

    def _chunk_function(self, truncated: bool, traced: bool) -> Tree:
        def chunk(
            prepared: Tree, carry: Tree, start: Tree, fresh: Tensor, limits: Tree, draw: Tree, uniforms: Tensor
        ) -> Tree:
            carry = select(fresh, start, carry)

            def step(carry: Tree, uniform: Tensor) -> tuple[Tree, Tree]:
                logits, state = self._network.step(prepared, carry["event"], carry["state"])
                scaled = logits / draw["temperature"][:, None]
                scaled = ops.where(allowed_events(carry["grammar"], limits), scaled, RULED_OUT)
                if truncated:
                    scaled = truncate(scaled, draw["top_k"], draw["top_p"])
                event = choose(scaled, uniform)
                counts = ~carry["grammar"]["done"]
                after = {"state": state, "event": event, "grammar": advance(carry["grammar"], event, limits)}
                return after, (event, counts, logits) if traced else (event, counts)

            return scan(step, carry, uniforms)

        return chunk


class EventsLoop:
    """One composition's block of rows; see `ChunkLoop`. Values are events, `END` included where the model chose it."""

    def __init__(
        self, program: EventsProgram, start: Tree, limits: Limits, top_k: int, top_p: float, *, traced: bool = False
    ) -> None:
        self.rows, self.steps = program.rows, program.steps
        self._program = program
        self._chunk = program.chunk(truncated=top_k > 0 or top_p < 1, traced=traced)
        self._start = to_device(start)
        self._carry = self._start
        self._limits = limits.tensors()
        self._draw = {"top_k": np.int32(top_k), "top_p": np.float32(top_p)}

    def run(
        self, fresh: NDArray[np.bool_], temperatures: NDArray[np.float32], uniforms: NDArray[np.float32]
    ) -> ChunkOutput:
        """Some steps of every row."""
        draw = {**self._draw, "temperature": temperatures}
        self._carry, drawn = self._chunk(
            self._program.prepared, self._carry, self._start, fresh, self._limits, draw, uniforms
        )
        events, counts = to_numpy(drawn[0]), to_numpy(drawn[1])
        logits = to_numpy(drawn[2]) if len(drawn) > 2 else None
        done = to_numpy(self._carry["grammar"]["done"])
        return ChunkOutput(events, counts.sum(axis=0).astype(np.int32), done, logits)
