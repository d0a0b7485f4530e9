"""What takes were given rather than composed: the notes of a primer that they begin with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from core.artifacts import ArtifactStore
from core.errors import InputError, MidiError, StorageError
from core.models.generations import Generation
from core.music.notes import Notes
from core.music.provenance import Provenance, read_provenance
from core.music.reading import read_midi
from core.sampling.settings import LONGEST_NOTES, PrimerSettings
from core.services.primers import primer_key

# A primer's notes stand in a take on the grid of 10 ms of the events; a file rounds to 1 ms.
_ROUNDING_SECONDS = 0.006


def begins_with_primer(settings: Mapping[str, Any]) -> bool:
    """Whether takes of such stored settings begin with their primer, which is another take where they are branches."""
    return bool(settings.get("join_primer")) and settings.get("primer") is not None


def given_notes(store: ArtifactStore, generation: Generation) -> Notes:
    """The notes that all takes of a generation begin with and that its model did not compose, as their source has them.

    A branch begins with notes that its model composed, so of these only those count that the branched take had been
    given in its turn. A MIDI file that says of itself that this very model made it is taken at its word.

    Raises:
        StorageError: the primer's file is gone.
        MidiError: it is damaged.
    """
    settings: Mapping[str, Any] = generation.settings
    count, source = LONGEST_NOTES, b""
    while begins_with_primer(settings):
        primer = _primer_of(settings)
        count = min(count, primer.notes) if primer is not None else count
        key = primer_key(primer.sha256) if primer is not None else ""
        if source and not (key and store.exists(key)):
            break  # That of a take which was deleted, say; what branched off from it begins with the same notes.
        source = store.read(key)
        made_by = _provenance(source)
        if made_by is None or made_by.model_hash != generation.model_hash:
            break
        settings = made_by.settings
    else:
        return Notes.empty()
    return read_midi(source).notes[:count]


def given_count(store: ArtifactStore, generation: Generation) -> int:
    """How many these are, for pages: all of the primer's where its file cannot be read."""
    try:
        return len(given_notes(store, generation))
    except (StorageError, MidiError):
        return int(generation.settings["primer"]["notes"])


def composed_part(notes: Notes, given: Notes) -> Notes:
    """A take's notes without what `given_notes` tells, at the times that they have in the whole take."""
    if not len(given):
        return notes
    last = given.onset_seconds[-1]
    # A chord that the primer was cut in may have been completed by the model.
    chord = given.pitch[given.onset_seconds >= last - 2 * _ROUNDING_SECONDS]
    before = notes.onset_seconds < last - _ROUNDING_SECONDS
    beside = notes.onset_seconds <= last + _ROUNDING_SECONDS
    return notes[~(before | (beside & np.isin(notes.pitch, chord)))]


def _primer_of(settings: Mapping[str, Any]) -> PrimerSettings | None:
    """Settings out of a file may hold anything; None for a primer that cannot be read."""
    primer = settings["primer"]
    if not isinstance(primer, dict):
        return None
    try:
        checked = PrimerSettings.parse(primer)
    except InputError:
        return None
    return checked if re.fullmatch("[0-9a-f]{64}", checked.sha256) else None


def _provenance(data: bytes) -> Provenance | None:
    try:
        return read_provenance(data)
    except MidiError:
        return None
