"""Held-out figures: whole pieces from start to end, state carried, every event counted once."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from core.encoding.performance import END, NOTE_OFF, STEPS_PER_SECOND, TIME_SHIFT, VELOCITY
from core.errors import DeviceError
from core.kept import Kept
from core.modeling.backend import Tensor, Tree, jit, to_device, to_numpy
from core.modeling.device_memory import WHAT_FREES_MEMORY, is_out_of_memory, out_of_memory_errors
from core.modeling.network import Network, build_network
from core.modeling.shapes import architecture_key
from core.training.flops import MOST_INTERVAL_EVENTS
from core.training.loss import event_nats
from core.training.settings import FamilySettings
from core.training.windows import PADDING, countable

PIECES_AT_ONCE = 16
"""Pieces that are read side by side, as rows of one product."""
_CHUNK = 256
_kept = Kept[Callable[..., Any]](4)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Sums over what has been evaluated so far; the begin and end of pieces are not counted.

    Attributes:
        nats: negative log likelihood; `events`, `notes`: how many were counted; `ticks`: 10 ms each, the time that
            passed in them.
        group, place: the group of pieces under way and how many of its events have been read.
        state: the network's state at that place, None at a group's begin.
    """

    nats: float = 0.0
    events: int = 0
    notes: int = 0
    ticks: int = 0
    group: int = 0
    place: int = 0
    state: Tree = None

    @property
    def nats_per_event(self) -> float:
        """Mean over events."""
        return self.nats / max(1, self.events)

    @property
    def nats_per_note(self) -> float:
        """Mean over note-ons; the wordier an encoding, the lower its figure per event, but not this one."""
        return self.nats / max(1, self.notes)

    @property
    def nats_per_second(self) -> float:
        """Mean over the music's seconds, which no encoding changes."""
        return self.nats / max(self.seconds, 1 / STEPS_PER_SECOND)

    @property
    def seconds(self) -> float:
        """How long the music is."""
        return self.ticks / STEPS_PER_SECOND

    @property
    def pieces(self) -> int:
        """How many have been read in the groups that are complete, the last of which may have had fewer."""
        return self.group * PIECES_AT_ONCE

    def means(self) -> dict[str, float]:
        """The three that belong together, since a wordier encoding lowers the first alone: per event, note, second."""
        return {name: getattr(self, name) for name in ("nats_per_event", "nats_per_note", "nats_per_second")}


class Evaluator:
    """Computes held-out figures of one network; all evaluators of a process share what is compiled for it.

    Where the device's memory does not hold a whole group of pieces side by side, half as many are read at a time, and
    so on down to one.
    """

    def __init__(self, settings: FamilySettings, log: Callable[[str], None] = lambda _: None) -> None:
        """`log` is told in a sentence each time that fewer pieces are read side by side.

        Raises:
            TypeError: the settings' family has no network over events.
        """
        self._network = build_network(settings)  # what is measured is what composes: in float32
        self._log = log
        self._chunk = _kept.of(architecture_key(settings), lambda: _compiled_chunk(self._network))
        self._rows = PIECES_AT_ONCE

    def first_state(self) -> Tree:
        """The network's state before the first event of a group."""
        state: Tree = self._network.initial_state(PIECES_AT_ONCE)
        return state

    def evaluate(
        self,
        weights: Tree,
        streams: list[NDArray[np.uint16]],
        between: Callable[[HeldOut], None],
        start: HeldOut | None = None,
    ) -> HeldOut:
        """Negative log likelihood of whole pieces.

        Args:
            weights: name to tensor.
            streams: each piece's events with begin and end.
            between: called between chunks with what is complete so far; may raise to interrupt.
            start: what an interrupted evaluation of the same streams handed to `between` last.

        Raises:
            DeviceError: the device's memory does not hold one piece.
        """
        done = start or HeldOut()
        # Pieces of similar length side by side waste little on padding.
        order = sorted(range(len(streams)), key=lambda index: (streams[index].size, index))
        groups = [order[at : at + PIECES_AT_ONCE] for at in range(0, len(order), PIECES_AT_ONCE)]
        while done.group < len(groups):
            table = _table([streams[index] for index in groups[done.group]])
            while done.place < table.shape[1] - 1:
                between(done)
                done = self._read_within_memory(weights, table[:, done.place : done.place + _CHUNK + 1], done)
            done = HeldOut(done.nats, done.events, done.notes, done.ticks, done.group + 1)
        between(done)
        return done

    def _read_within_memory(self, weights: Tree, cut: NDArray[np.int32], done: HeldOut) -> HeldOut:
        while True:
            try:
                return self._read_chunk(weights, cut, done)
            except out_of_memory_errors() as error:
                if not is_out_of_memory(error):
                    raise
            # Here the error has been let go, which holds on to what the failed chunk took.
            gc.collect()
            if self._rows == 1:
                raise DeviceError(
                    "The device's memory does not hold this network with one held-out piece. What was measured before "
                    f"is kept. {WHAT_FREES_MEMORY}; else use a smaller network or context, or a worker with more "
                    "memory."
                )
            self._rows //= 2
            self._log(
                "The device's memory is full: held-out pieces are read on with at most "
                f"{self._rows} side by side. That takes longer, and figures may differ in their last digits from those "
                "with more memory."
            )

    def _read_chunk(self, weights: Tree, cut: NDArray[np.int32], done: HeldOut) -> HeldOut:
        """Go on by one chunk; `cut` has one column more than the chunk, the last target."""
        state = to_device(self.first_state() if done.state is None else done.state)
        targets = np.where(countable(cut[:, 1:]), cut[:, 1:], PADDING)
        nats, state = self._read_rows(weights, np.where(cut[:, :-1] == PADDING, END, cut[:, :-1]), targets, state)
        return HeldOut(
            done.nats + nats,
            done.events + int((targets != PADDING).sum()),
            done.notes + int(((targets != PADDING) & (targets < NOTE_OFF)).sum()),
            done.ticks + _ticks(targets),
            done.group,
            done.place + _CHUNK,
            state,
        )

    def _read_rows(
        self, weights: Tree, events: NDArray[np.int32], targets: NDArray[np.int32], state: Tree
    ) -> tuple[float, Tree]:
        """The sum of nats and the state after it, as many rows at a time as the memory is known to hold."""
        nats, states = 0.0, []
        for first in range(0, PIECES_AT_ONCE, self._rows):
            rows = slice(first, first + self._rows)
            before = state if self._rows == PIECES_AT_ONCE else _rows_of(state, rows)
            sums, after = self._chunk(weights, events[rows], targets[rows], before)
            nats += float(to_numpy(sums).astype(np.float64).sum())
            states.append(after)
        return nats, states[0] if len(states) == 1 else _joined(states)


def _compiled_chunk(network: Network) -> Callable[..., Any]:
    def chunk_nats(weights: Tree, events: Tensor, targets: Tensor, state: Tree) -> tuple[Tensor, Tree]:
        logits, state = network.sequence(weights, events, state)
        return ops.sum(event_nats(logits, targets), axis=1), state

    return jit(chunk_nats)


def _rows_of(state: Tree, rows: slice) -> Tree:
    return keras.tree.map_structure(lambda values: values[rows], state)


def _joined(states: list[Tree]) -> Tree:
    return keras.tree.map_structure(lambda *parts: ops.concatenate(parts, axis=0), *states)


def _ticks(targets: NDArray[np.int32]) -> int:
    shifts = targets[(targets >= TIME_SHIFT) & (targets < VELOCITY)].astype(np.int64)
    return int((shifts - (TIME_SHIFT - 1)).sum())


def _table(streams: list[NDArray[np.uint16]]) -> NDArray[np.int32]:
    """Streams as padded rows `[PIECES_AT_ONCE, a multiple of _CHUNK, and one]`."""
    longest = max(stream.size for stream in streams) - 1
    width = -(-longest // _CHUNK) * _CHUNK + 1
    table = np.full((PIECES_AT_ONCE, width), PADDING, np.int32)
    for row, stream in enumerate(streams):
        table[row, : stream.size] = stream
    return table


def events_read(streams: list[NDArray[np.uint16]]) -> int:
    """How many events reading these pieces takes: their own, and what fills up the rows beside them."""
    sizes = sorted(stream.size - 1 for stream in streams)
    groups = [sizes[at : at + PIECES_AT_ONCE] for at in range(0, len(sizes), PIECES_AT_ONCE)]
    return PIECES_AT_ONCE * sum(-(-group[-1] // _CHUNK) * _CHUNK for group in groups)


def interval_subset(
    streams: list[NDArray[np.uint16]], most_events: int = MOST_INTERVAL_EVENTS
) -> list[NDArray[np.uint16]]:
    """The fixed part of the held-out pieces that the figure after each interval uses.

    `streams` itself where reading it takes at most `most_events` events. Else the beginning of every k-th, as far as a
    row has room for it, with the smallest k that stays below that: one long piece would keep the others' rows waiting,
    and pieces that are short as a whole are other music than long ones.
    """
    if events_read(streams) <= most_events:
        return streams
    row = max(1, most_events // PIECES_AT_ONCE // _CHUNK) * _CHUNK
    for stride in range(1, len(streams)):
        subset = [stream[: row + 1] for stream in streams[::stride]]
        if events_read(subset) <= most_events:
            return subset
    return [streams[0][: row + 1]]
