"""Batches of event windows, each decided by the seed and the step's number alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from core.datasets.corpus import Corpus
from core.encoding.performance import BEGIN, END, NOTE_OFF, NOTE_ON, TIME_SHIFT, encode_pieces
from core.encoding.sounding import Facts, no_facts
from core.music.notes import Notes
from core.training.openings import Openings, transposed
from core.training.settings import EventSettings

PADDING = -1
_FACTORS = 5
# Keeps the batches' random numbers apart from those of the weights, which use the same seed.
_BATCHES = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """One training step's data.

    Attributes:
        events: int32 `[batch, time]`, what the network reads.
        targets: int32 `[batch, time]`, the event after each one; `PADDING` does not count.
        facts: before each row's first event, for networks that know what sounds; None for others.
        notes: note-ons among the targets; `counted`: targets that count.
    """

    events: NDArray[np.int32]
    targets: NDArray[np.int32]
    facts: Facts | None
    notes: int
    counted: int

    @classmethod
    def of(cls, events: NDArray[np.int32], targets: NDArray[np.int32], facts: Facts | None = None) -> Self:
        """Count what is there."""
        counted = targets != PADDING
        return cls(events, targets, facts, int(((targets < NOTE_OFF) & counted).sum()), int(counted.sum()))

    def first(self, rows: int) -> Batch:
        """The first rows alone."""
        return self._part(slice(rows))

    def split(self, count: int) -> list[Batch]:
        """As many batches of equally many rows."""
        each = len(self.events) // count
        return [self._part(slice(part * each, (part + 1) * each)) for part in range(count)]

    def _part(self, rows: slice) -> Batch:
        facts = self.facts and {name: values[rows] for name, values in self.facts.items()}
        return Batch.of(self.events[rows], self.targets[rows], facts)


class EventWindows:
    """Windows of `settings.window` events cut from pieces' streams `BEGIN ... END`; none crosses into another piece.

    A piece is drawn with a probability that grows with its events. The window's start is drawn evenly from half a
    window before the piece to half a window before its end, and then moved into the piece: so beginnings and ends are
    seen about as often as the middle. A piece shorter than the window is padded. Time stretch uses 5 factors evenly
    spread over 1 ± `settings.stretch`; each factor's streams are encoded when they are first drawn.

    Attributes:
        events: of all pieces together, unstretched; `longest`: of the longest piece.
    """

    def __init__(self, pieces: list[Notes], settings: EventSettings) -> None:
        whole = Corpus.of(pieces, ["train"] * len(pieces))
        self._notes, self._offsets = whole.notes, whole.offsets
        self._settings = settings
        count = _FACTORS if settings.stretch > 0 else 1
        self._factors = np.linspace(1 - settings.stretch, 1 + settings.stretch, count)
        self._streams: dict[int, tuple[NDArray[np.uint16], NDArray[np.int64]]] = {}
        self._openings: dict[int, Openings] = {}
        self._prepared: tuple[int, Batch] | None = None
        offsets = self._stream(count // 2)[1]
        self.events = int(offsets[-1])
        self.longest = int(np.diff(offsets).max(initial=0))

    def prepare(self, step: int) -> None:
        """Make the batch of step `step` (from 0) before it is asked for."""
        self._prepared = (step, self._made(step))

    def batch(self, step: int) -> Batch:
        """The batch of step `step` (from 0)."""
        prepared, self._prepared = self._prepared, None
        return prepared[1] if prepared is not None and prepared[0] == step else self._made(step)

    def _made(self, step: int) -> Batch:
        settings = self._settings
        generator = np.random.default_rng([settings.seed, _BATCHES, step])
        rows, width = settings.batch_size, settings.window
        draws = generator.random((3, rows))
        factors = generator.integers(len(self._factors), size=rows)
        events = np.full((rows, width + 1), PADDING, np.int32)
        facts = no_facts(rows) if settings.sounding else None
        for row in range(rows):
            stream, offsets = self._stream(int(factors[row]))
            # One number decides the piece (evenly over all events) and another the place within it.
            piece = int(np.searchsorted(offsets, draws[0, row] * offsets[-1], side="right")) - 1
            first, end = int(offsets[piece]), int(offsets[piece + 1])
            latest = max(0, end - first - 1 - width)
            start = int(draws[1, row] * (end - first)) - width // 2
            begin = first + min(max(start, 0), latest)
            cut = stream[begin : min(end, begin + width + 1)]
            events[row, : cut.size] = cut
            if facts is not None:
                for name, value in self._opening(int(factors[row])).at(first, begin).items():
                    facts[name][row] = value[0]
        semitones = self._transpose(events, draws[2])
        if facts is not None:
            facts = transposed(facts, semitones)
        targets = events[:, 1:].copy()
        inputs = np.where(events[:, :-1] == PADDING, END, events[:, :-1])
        return Batch.of(inputs, targets, facts)

    def _transpose(self, events: NDArray[np.int32], draws: NDArray[np.float64]) -> NDArray[np.int32]:
        """Move each row by a whole number of semitones among those that keep all its pitches within 0 to 127.

        Returns:
            By how many, int32 `[rows]`.
        """
        reach = self._settings.transpose_semitones
        if reach == 0:
            return np.zeros(len(events), np.int32)
        pitched = (events >= NOTE_ON) & (events < TIME_SHIFT)
        pitches = events % NOTE_OFF
        lowest = np.where(pitched, pitches, 127).min(axis=1)
        highest = np.where(pitched, pitches, 0).max(axis=1)
        down, up = np.minimum(reach, lowest), np.minimum(reach, 127 - highest)
        shift: NDArray[np.int32] = np.floor(draws * (down + up + 1)).astype(np.int32) - down.astype(np.int32)
        events += np.where(pitched, shift[:, None], 0).astype(np.int32)
        return shift

    def _opening(self, factor: int) -> Openings:
        if factor not in self._openings:
            self._openings[factor] = Openings(*self._stream(factor))
        return self._openings[factor]

    def _stream(self, factor: int) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
        """All pieces' events at one stretch factor end to end, and where each piece begins."""
        if factor not in self._streams:
            scale, notes = float(self._factors[factor]), self._notes
            slower = Notes(notes.onset_seconds * scale, notes.duration_seconds * scale, notes.pitch, notes.velocity)
            self._streams[factor] = encode_pieces(slower, self._offsets)
        return self._streams[factor]


def countable(targets: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Targets that held-out figures count: neither padding nor the begin and end of a piece."""
    mask: NDArray[np.bool_] = (targets != PADDING) & (targets != BEGIN) & (targets != END)
    return mask
