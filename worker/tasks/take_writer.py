"""Finished takes become files, then rows: a few at a time, each visible within half a second."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from sqlalchemy import insert, select, update

from core.errors import SupersededError
from core.models.base import utc_now
from core.models.generations import Generation, Take
from core.music.measures import find_defect, measure
from core.music.notes import Notes
from core.music.provenance import Provenance
from core.music.writing import write_midi
from core.records.database import announce
from core.sampling.facts import sampler_version
from core.sampling.settings import GenerationSettings
from worker.unit_context import UnitContext

_FLUSH_SECONDS = 0.4


class TakeWriter:
    """Stores the takes of one attempt at a tile. Give it each take as it is finished, and `flush_if_due()` often.

    Files are written by a thread of its own, so that the device does not wait for the disk; rows by the caller's. When
    the block ends, however it ends, everything that was added is stored.
    """

    def __init__(self, context: UnitContext, generation: Generation, settings: GenerationSettings) -> None:
        self._context = context
        self._generation = generation
        self._takes = {temperature: settings.of_take(temperature) for temperature in settings.temperatures}
        self._values = {temperature: take.model_dump(mode="json") for temperature, take in self._takes.items()}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="take-files")
        self._files: deque[Future[dict[str, Any]]] = deque()
        self._rows: list[dict[str, Any]] = []
        self._started = self._flushed = time.monotonic()
        self._notes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.flush()
        except SupersededError:
            self._thread.shutdown(cancel_futures=True)
            self._remove_unkept()
            raise
        finally:
            self._thread.shutdown(cancel_futures=True)

    def add(self, index: int, seed: int, temperature: float, notes: Notes) -> None:
        """Store a take.

        Raises:
            StorageError: the store refused an earlier take (disk full).
            SupersededError: the unit has moved on; the files that got no row are removed when the block ends.
        """
        self._files.append(self._thread.submit(self._store, index, seed, temperature, notes))
        self._notes += len(notes)
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Commit what is stored and has waited long enough. Raises as `add` does."""
        if time.monotonic() - self._flushed >= _FLUSH_SECONDS and (self._rows or self._stored()):
            self._collect(wait=False)
            self._commit()

    def flush(self) -> None:
        """Wait for the files and commit everything. Raises as `add` does; may be called again after that."""
        try:
            self._collect(wait=True)
        finally:
            self._commit()

    def _collect(self, *, wait: bool) -> None:
        while self._stored() or (wait and self._files):
            self._rows.append(self._files.popleft().result())

    def _stored(self) -> bool:
        return bool(self._files) and self._files[0].done()

    def _commit(self) -> None:
        """One transaction, refused if the unit has moved on. A commit whose answer was lost on the way counts once."""
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
                .values(
                    takes_done=Generation.takes_done + len(rows),
                    stored_bytes=Generation.stored_bytes + sum(row["midi_bytes"] for row in rows),
                    notes_per_second=rate,
                )
                .returning(Generation.takes_done)
            )
            self._context.mark_progressed(session)
            announce(session, f"generation:{number}")
        self._rows = []
        self._flushed = time.monotonic()
        self._context.progress(done=done, total=self._generation.takes_total, rate=rate, rate_unit="notes/s")

    def _remove_unkept(self) -> None:
        """Remove the files of this attempt that no row came to point at."""
        stored = [future for future in self._files if not future.cancelled() and future.exception() is None]
        written = [row["midi_key"] for row in [*self._rows, *(future.result() for future in stored)]]
        # A commit whose answer was lost may have kept some of them.
        with self._context.database.reading() as session:
            kept = set(session.scalars(select(Take.midi_key).where(Take.midi_key.in_(written))))
        for key in written:
            if key not in kept:
                self._context.store.delete(key)

    def _store(self, index: int, seed: int, temperature: float, notes: Notes) -> dict[str, Any]:
        """Write a take's file; its row."""
        take = self._takes[temperature]
        end_seconds = take.length if take.length_unit == "seconds" and not take.may_end_early else None
        values = self._values[temperature]
        provenance = Provenance(self._generation.model_hash, seed, values, sampler_version(values))
        midi = write_midi(notes, program=take.program, provenance=provenance, end_seconds=end_seconds)
        # No other attempt ever writes this key, so that one which was given up and wakes late spoils nothing.
        attempt = f"{self._context.unit_id}-{self._context.attempt}"
        key = f"generations/{self._generation.id}/takes/{index:06d}-{attempt}.mid"
        self._context.store.write(key, midi)
        measures = measure(notes)
        return {
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
