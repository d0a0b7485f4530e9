"""The compiled loop that composes events, for every family that reads and writes them."""

from __future__ import annotations

from itertools import product

import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.modeling.backend import Tensor, Tree, jit, scan, select, to_device
from core.modeling.following import FollowingNetwork
from core.modeling.network import Network
from core.modeling.packing import Packing
from core.music.notes import Notes
from core.sampling.assembling import opening_events
from core.sampling.blocks import ChunkLoop
from core.sampling.choice import RULED_OUT, choose, truncate
from core.sampling.compiled_loop import CompiledLoop
from core.sampling.grammar import Limits, advance, allowed_events, grammar_after, initial_grammar
from core.sampling.settings import TakeSettings
from core.sampling.shaping import Shaping, after_event, guide_events, rule_out_unlikely
from core.sampling.turns import run_turns


class EventsWeights:
    """A network's weights as its steps want them, in few tensors; the same for every block width."""

    def __init__(self, network: Network) -> None:
        self._prepare = jit(network.prepare)
        self._packing: Packing | None = None

    def prepare(self, weights: dict[str, NDArray[np.float32]]) -> list[Tensor]:
        """A model's weights on the device."""
        prepared = self._prepare(to_device(weights))
        self._packing = self._packing or Packing(prepared)
        return self._packing.pack(prepared)

    def unpack(self, packed: list[Tensor]) -> Tree:
        """What `Network.step` takes."""
        assert self._packing is not None, "prepare comes first"
        return self._packing.unpack(packed)


class EventsProgram:
    """A network's compiled functions for one block width; shared by all models of its architecture."""

    def __init__(self, network: FollowingNetwork, weights: EventsWeights, rows: int, steps: int) -> None:
        self.rows = rows
        self.steps = steps
        self._network = network
        self._weights = weights
        nothing = TakeSettings()
        self._carry = Packing(self._begin(opening_events(None, nothing), nothing, None))
        self._asked = Packing(asked_for(nothing, Limits.of(nothing), None))
        self._feed = jit(self._read)
        self.idle = jit(self._all_done)
        # With top k and top p or without, with shaping or without, with logits returned or not.
        kinds = product((False, True), repeat=3)
        self._chunks = {kind: jit(self._chunk_function(*kind)) for kind in kinds}

    def loops(
        self, count: int, weights: list[Tensor], settings: TakeSettings, primer: Notes | None, *, traced: bool
    ) -> list[ChunkLoop]:
        """Loops that continue the same primer with the same settings, each with rows of its own.

        Their values are events, with `END` where the model chose it.
        """
        start = self._start(weights, settings, primer)
        begin = grammar_after(opening_events(primer, settings), 1)["time"][0] if settings.join_primer else 0
        asked = to_device(self._asked.pack(asked_for(settings, Limits.of(settings, int(begin)), primer)))
        chunk = self._chunks[settings.truncates, settings.shapes, traced]
        return [CompiledLoop(self, chunk, weights, start, asked, core) for core in range(count)]

    def unpack(self, carry: list[Tensor]) -> Tree:
        """What a packed carry holds."""
        return self._carry.unpack(carry)

    def _start(self, weights: list[Tensor], settings: TakeSettings, primer: Notes | None) -> list[Tensor]:
        """The packed state after all of the primer's events but the last, which every take reads first."""
        events = opening_events(primer, settings)
        carry = to_device(self._carry.pack(self._begin(events, settings, primer)))
        read = events[:-1].astype(np.int32)
        for at in range(0, read.size, self.steps):
            part = read[at : at + self.steps]
            padded = np.zeros(self.steps, np.int32)
            padded[: part.size] = part
            carry = self._feed(weights, padded, np.int32(part.size), carry)
        return carry  # type: ignore[no-any-return]  # Keras tensors carry no types

    def _begin(self, events: NDArray[np.uint16], settings: TakeSettings, primer: Notes | None) -> Tree:
        return {
            "state": self._network.initial_state(self.rows),
            "event": np.full(self.rows, events[-1], np.int32),
            "grammar": grammar_after(events, self.rows) if settings.join_primer else initial_grammar(self.rows),
            "shape": Shaping.of(settings, primer).start(self.rows),
        }

    def _read(self, weights: list[Tensor], events: Tensor, count: Tensor, packed: list[Tensor]) -> list[Tensor]:
        """All rows read `count` of the events `[steps]` without drawing any."""
        prepared, carry = self._weights.unpack(weights), self._carry.unpack(packed)

        def step(inner: Tree, event: Tensor) -> tuple[Tree, Tensor]:
            number, state = inner
            _, after = self._network.step(prepared, ops.broadcast_to(event, (self.rows,)), state)
            return (number + 1, select(number < count, after, state)), number

        (_, state), _ = scan(step, (np.int32(0), carry["state"]), events)
        return self._carry.pack({**carry, "state": state})

    def _all_done(self, start: list[Tensor]) -> list[Tensor]:
        """Rows that have no take yet."""
        carry = self._carry.unpack(start)
        return self._carry.pack({**carry, "grammar": {**carry["grammar"], "done": np.ones(self.rows, bool)}})

    def _chunk_function(self, truncated: bool, shaped: bool, traced: bool) -> Tree:
        def chunk(
            weights: list[Tensor], start: list[Tensor], packed: list[Tensor], asked: list[Tensor], *turns: Tensor
        ) -> Tree:
            prepared, wanted = self._weights.unpack(weights), self._asked.unpack(asked)
            limits, draw = wanted["limits"], wanted["draw"]

            def step(carry: Tree, uniforms: Tensor, temperatures: Tensor) -> tuple[Tree, Tree]:
                grammar = carry["grammar"]
                logits, state = self._network.step(prepared, carry["event"], carry["state"])
                scaled = logits / temperatures[:, None]
                if shaped:
                    scaled = guide_events(scaled, carry["shape"], grammar, wanted["shape"])
                allowed = allowed_events(grammar, state["facts"], limits)
                scaled = ops.where(allowed, scaled, RULED_OUT)
                if shaped:
                    scaled = rule_out_unlikely(scaled, wanted["shape"], RULED_OUT)
                if truncated:
                    scaled = truncate(scaled, draw["top_k"], draw["top_p"])
                event = choose(scaled, uniforms)
                # What a finished row draws is thrown away.
                drawn = ops.where(grammar["done"], -1, event)
                after = {
                    "state": state,
                    "event": event,
                    "grammar": advance(grammar, state["facts"], event, limits),
                    "shape": after_event(carry["shape"], grammar, event, wanted["shape"]) if shaped else carry["shape"],
                }
                return after, (drawn, logits) if traced else (drawn,)

            carry, results = run_turns(
                step,
                lambda carry: carry["grammar"]["done"],
                self._carry.unpack(start),
                self._carry.unpack(packed),
                *turns,
            )
            return self._carry.pack(carry), carry["grammar"]["done"], results

        return chunk


def asked_for(settings: TakeSettings, limits: Limits, primer: Notes | None) -> dict[str, Tree]:
    """What a chunk needs to know of the takes' settings."""
    return {
        "limits": limits.tensors(),
        "draw": {
            "top_k": np.int32(settings.top_k),
            "top_p": np.float32(settings.top_p),
        },
        "shape": Shaping.of(settings, primer).tensors(),
    }
