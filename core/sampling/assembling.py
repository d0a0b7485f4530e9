"""From a primer to what a network reads first, and from what it drew to a take's notes. Light: no Keras in here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.encoding.performance import BEGIN, NOTE_OFF, VELOCITY, VELOCITY_BINS, decode, encode
from core.encoding.tutorial import from_triples
from core.music.notes import Notes
from core.sampling.finishing import finish_take
from core.sampling.settings import TakeSettings

Assembler = Callable[[NDArray[np.generic]], Notes]


def opening_events(primer: Notes | None, settings: TakeSettings) -> NDArray[np.uint16]:
    """What a network of events reads first, uint16 `[e]`: `BEGIN`, then the primer without its end.

    A take that begins with its primer takes over at the primer's last onset, with what sounds there; any other after
    the primer's last note has ended.
    """
    if primer is None or not len(primer):
        return np.array([BEGIN], np.uint16)
    events = encode(primer)[:-1]
    return events[: np.flatnonzero(events < NOTE_OFF)[-1] + 1] if settings.join_primer else events


def events_assembler(primer: Notes | None, settings: TakeSettings) -> Assembler:
    """A function from the events `[e]` that a take drew to its finished notes."""
    opening = opening_events(primer, settings)
    if settings.join_primer:
        lead = decode(opening)
        prefix, led_by = opening, len(lead)
        led_seconds = float(lead.onset_seconds[-1]) if led_by else 0.0
    else:
        # Of the primer only the loudness that holds at its end.
        prefix = opening[(opening >= VELOCITY) & (opening < VELOCITY + VELOCITY_BINS)][-1:]
        led_by, led_seconds = 0, 0.0

    def assemble(values: NDArray[np.generic]) -> Notes:
        notes = decode(np.concatenate((prefix, values.astype(np.uint16))))
        return finish_take(notes, settings, led_by=led_by, led_seconds=led_seconds)

    return assemble


def tutorial_assembler(primer: Notes, settings: TakeSettings) -> Assembler:
    """A function from the triples `[n, 3]` that a take drew to its finished notes."""
    lead = primer if settings.join_primer else Notes.empty()
    led_seconds = float(lead.onset_seconds[-1]) if len(lead) else 0.0

    def assemble(values: NDArray[np.generic]) -> Notes:
        drawn = from_triples(values)
        notes = Notes.of(
            np.concatenate((lead.onset_seconds, led_seconds + drawn.onset_seconds)),
            np.concatenate((lead.duration_seconds, drawn.duration_seconds)),
            np.concatenate((lead.pitch, drawn.pitch)),
            np.concatenate((lead.velocity, drawn.velocity)),
        )
        return finish_take(notes, settings, led_by=len(lead), led_seconds=led_seconds)

    return assemble
