"""Composing one tile of a generation: each take's file first, then its row, a few at a time."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from typing import Any

from sqlalchemy import select, update

from core.artifacts import ArtifactStore
from core.errors import ConflictError
from core.modeling.checkpoints import Checkpoint
from core.models.generations import Generation, Take
from core.models.trainings import Model
from core.music.measures import find_defect, measure
from core.music.notes import Notes
from core.music.provenance import Provenance
from core.music.reading import read_midi
from core.music.writing import write_midi
from core.records.database import announce
from core.sampling.composer import Composer, CompositionInterrupted
from core.sampling.facts import SAMPLER_VERSION
from core.sampling.settings import GenerationSettings, TakeSettings
from core.services.generations import get_generation
from worker.unit_context import UnitContext

_FLUSH_SECONDS = 0.4
_MODELS_KEPT = 3

# Models that this process has loaded and compiled, the latest used last: the next tile starts in milliseconds.
_composers: OrderedDict[str, Composer] = OrderedDict()


def run(context: UnitContext) -> None:
    """Compose the takes of the unit's tile that are not there yet.

    Raises:
        ConflictError: the model was deleted.
        UnitInterrupted: the unit shall stop; the takes made so far are kept.
    """
    while True:
        try:
            return _compose_missing(context)
        except CompositionInterrupted:
            context.check()
            # A pause that was taken back before it took effect: go on with what is missing now.


def _compose_missing(context: UnitContext) -> None:
    with context.database.reading() as session:
        generation = get_generation(session, int(context.payload["generation_id"]))
        first, count = int(context.payload["first"]), int(context.payload["count"])
        existing = set(
            session.scalars(
                select(Take.index).where(
                    Take.generation_id == generation.id, Take.index >= first, Take.index < first + count
                )
            )
        )
        model = session.get(Model, generation.model_id) if generation.model_id is not None else None
    if model is None:
        raise ConflictError(f"The model {generation.model_name!r} was deleted; upload it again, then retry.")
    settings = GenerationSettings.model_validate(generation.settings)
    plan = settings.plan()
    missing = [index for index in range(first, first + count) if index not in existing]
    context.progress(phase="loading the model", done=generation.takes_done, total=generation.takes_total, unit="takes")
    composer = _composer_of(context.store, model)
    context.check()
    context.progress(phase="composing")
    writer = _TileWriter(context, generation, settings, missing)
    try:
        composer.compose(
            [plan[index] for index in missing],
            settings.of_take(settings.temperatures[0]),
            _read_primer(context.store, generation, settings),
            writer.add,
            context.interrupted,
        )
    finally:
        # What is finished is kept, whatever ends the rest.
        writer.flush()


class _TileWriter:
    """Collects finished takes and commits them every `_FLUSH_SECONDS`, so that they appear while others are made."""

    def __init__(
        self, context: UnitContext, generation: Generation, settings: GenerationSettings, indexes: list[int]
    ) -> None:
        self._context = context
        self._generation = generation
        self._settings = settings
        self._plan = settings.plan()
        self._indexes = indexes
        self._rows: list[Take] = []
        self._started = self._flushed = time.monotonic()
        self._notes = 0

    def add(self, position: int, notes: Notes) -> None:
        """Store the take at `position` of the tile's missing ones."""
        index = self._indexes[position]
        seed, temperature = self._plan[index]
        self._rows.append(
            _store_take(self._context.store, self._generation, self._settings, index, seed, temperature, notes)
        )
        self._notes += len(notes)
        if time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Commit what was collected, in one transaction that is refused if the unit has moved on."""
        if not self._rows:
            return
        rate = self._notes / max(time.monotonic() - self._started, 1e-3)
        with self._context.transaction() as session:
            session.add_all(self._rows)
            done = session.scalar(
                update(Generation)
                .where(Generation.id == self._generation.id)
                .values(takes_done=Generation.takes_done + len(self._rows), notes_per_second=rate)
                .returning(Generation.takes_done)
            )
            self._context.mark_progressed(session)
            announce(session, f"generation:{self._generation.id}")
        self._rows = []
        self._flushed = time.monotonic()
        self._context.progress(done=done, total=self._generation.takes_total, rate=rate, rate_unit="notes/s")


def _store_take(
    store: ArtifactStore,
    generation: Generation,
    settings: GenerationSettings,
    index: int,
    seed: int,
    temperature: float,
    notes: Notes,
) -> Take:
    of_take = settings.of_take(temperature)
    end_seconds = of_take.length if of_take.length_unit == "seconds" and not of_take.may_end_early else None
    midi = write_midi(
        notes,
        program=of_take.program,
        provenance=Provenance(generation.model_hash, seed, _canonical(of_take), SAMPLER_VERSION),
        end_seconds=end_seconds,
    )
    key = f"generations/{generation.id}/takes/{index:06d}.mid"
    store.write(key, midi)
    measures = measure(notes)
    return Take(
        generation_id=generation.id,
        index=index,
        seed=seed,
        temperature=temperature,
        midi_key=key,
        midi_bytes=len(midi),
        sha256=hashlib.sha256(midi).hexdigest(),
        notes_count=len(notes),
        seconds=end_seconds or notes.end_seconds,
        notes_per_second=measures.notes_per_second,
        pitch_class_entropy=measures.pitch_class_entropy,
        polyphony=measures.polyphony,
        measures=measures.as_dict(),
        defect=find_defect(notes),
    )


def _canonical(settings: TakeSettings) -> dict[str, Any]:
    return settings.model_dump(mode="json")


def _read_primer(store: ArtifactStore, generation: Generation, settings: GenerationSettings) -> Notes | None:
    if settings.primer is None:
        return None
    return read_midi(store.read(generation.primer_key)).notes[: settings.primer.notes]


def _composer_of(store: ArtifactStore, model: Model) -> Composer:
    composer = _composers.pop(model.content_hash, None)
    if composer is None:
        composer = Composer(Checkpoint.from_bytes(store.read(model.checkpoint_key)))
        while len(_composers) >= _MODELS_KEPT:
            _composers.popitem(last=False)
    _composers[model.content_hash] = composer
    return composer
