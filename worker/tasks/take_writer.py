"""Finished takes become files, then rows: a few at a time, each visible within half a second."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from sqlalchemy import insert, select, update

from core.models.base import utc_now
from core.models.generations import Generation, Take
from core.music.measures import find_defect, measure
from core.music.notes import Notes
from core.music.provenance import Provenance
from core.music.writing import write_midi
from core.records.database import announce
from core.sampling.facts import SAMPLER_VERSION
from core.sampling.settings import GenerationSettings
from worker.unit_context import UnitContext

_FLUSH_SECONDS = 0.4


class TakeWriter:
    """Stores the takes of one attempt at a tile. Give it each take as it is finished, and `flush_if_due()` often."""

    def __init__(self, context: UnitContext, generation: Generation, settings: GenerationSettings) -> None:
        self._context = context
        self._generation = generation
        self._settings = settings
        self._takes = {temperature: settings.of_take(temperature) for temperature in settings.temperatures}
        self._values = {temperature: take.model_dump(mode="json") for temperature, take in self._takes.items()}
        self._rows: list[dict[str, Any]] = []
        self._started = self._flushed = time.monotonic()
        self._notes = 0

    def add(self, index: int, seed: int, temperature: float, notes: Notes) -> None:
        """Store a take's file and remember its row.

        Raises:
            StorageError: the store refuses (disk full).
            SupersededError: the unit has moved on; the file is left to the sweep.
        """
        take = self._takes[temperature]
        end_seconds = take.length if take.length_unit == "seconds" and not take.may_end_early else None
        provenance = Provenance(self._generation.model_hash, seed, self._values[temperature], SAMPLER_VERSION)
        midi = write_midi(notes, program=take.program, provenance=provenance, end_seconds=end_seconds)
        # No other attempt ever writes this key, so that one which was given up and wakes late spoils nothing.
        attempt = f"{self._context.unit_id}-{self._context.attempt}"
        key = f"generations/{self._generation.id}/takes/{index:06d}-{attempt}.mid"
        self._context.store.write(key, midi)
        measures = measure(notes)
        self._rows.append(
            {
                "generation_id": self._generation.id,
                "index": index,
                "seed": seed,
                "temperature": temperature,
                "midi_key": key,
                "midi_bytes": len(midi),
                "sha256": hashlib.sha256(midi).hexdigest(),
                "notes_count": len(notes),
                "seconds": end_seconds or notes.end_seconds,
                "notes_per_second": measures.notes_per_second,
                "pitch_class_entropy": measures.pitch_class_entropy,
                "polyphony": measures.polyphony,
                "measures": measures.as_dict(),
                "defect": find_defect(notes, measures),
                "created_at": utc_now(),
            }
        )
        self._notes += len(notes)
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Commit what has waited long enough."""
        if self._rows and time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Commit what was collected, in one transaction that is refused if the unit has moved on.

        May be called again after it failed: a commit whose answer was lost on the way counts once.

        Raises:
            SupersededError: the unit has moved on.
        """
        if not self._rows:
            return
        number = self._generation.id
        rate = self._notes / max(time.monotonic() - self._started, 1e-3)
        with self._context.transaction() as session:
            indexes = [row["index"] for row in self._rows]
            stored = select(Take.index).where(Take.generation_id == number, Take.index.in_(indexes))
            present = set(session.scalars(stored))
            rows = [row for row in self._rows if row["index"] not in present]
            if rows:
                session.execute(insert(Take), rows)
            done = session.scalar(
                update(Generation)
                .where(Generation.id == number)
                .values(takes_done=Generation.takes_done + len(rows), notes_per_second=rate)
                .returning(Generation.takes_done)
            )
            self._context.mark_progressed(session)
            announce(session, f"generation:{number}")
        self._rows = []
        self._flushed = time.monotonic()
        self._context.progress(done=done, total=self._generation.takes_total, rate=rate, rate_unit="notes/s")
