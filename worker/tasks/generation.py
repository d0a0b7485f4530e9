"""Composing one tile of a generation."""

from __future__ import annotations

from sqlalchemy import select

from core.artifacts import ArtifactStore
from core.kept import Kept
from core.models.generations import Generation, Take
from core.models.trainings import Model
from core.music.notes import Notes
from core.music.reading import read_midi
from core.sampling.composer import Composer, CompositionInterrupted
from core.sampling.settings import GenerationSettings
from core.services.generations import get_generation
from core.services.models import model_for, stored_checkpoint
from worker.tasks.take_writer import TakeWriter
from worker.unit_context import UnitContext

_MODELS_KEPT = 3

# Models that this process has loaded and compiled: the next tile starts in milliseconds.
_composers = Kept[Composer](_MODELS_KEPT)


def run(context: UnitContext) -> None:
    """Compose the takes of the unit's tile that are not there yet.

    Raises:
        NotFoundError: the generation was deleted.
        ConflictError: the model was deleted.
        CheckpointError: the model's file is damaged, or of another version.
        DeviceError: the device's memory does not even hold one take at a time.
        StorageError: the disk is full, or the model's or the primer's file is gone.
        UnitInterrupted: the unit shall stop; the takes made so far are kept.
    """
    compose_missing(
        context, int(context.payload["generation_id"]), int(context.payload["first"]), int(context.payload["count"])
    )


def compose_missing(context: UnitContext, generation_id: int, first: int, count: int, phase: str = "composing") -> None:
    """Compose those of a part of a generation's takes that are not there yet. Raises as `run`."""
    while True:
        try:
            return _compose_missing(context, generation_id, first, count, phase)
        except CompositionInterrupted:
            context.check()
            # A pause that was taken back before it took effect: go on with what is missing now.


def _compose_missing(context: UnitContext, generation_id: int, first: int, count: int, phase: str) -> None:
    with context.database.reading() as session:
        generation = get_generation(session, generation_id)
        present = select(Take.index).where(
            Take.generation_id == generation.id, Take.index >= first, Take.index < first + count
        )
        missing = sorted(set(range(first, first + count)).difference(session.scalars(present)))
        context.progress(done=generation.takes_done, total=generation.takes_total, unit="takes")
        if not missing:
            return  # An earlier attempt did all but say so.
        model = model_for(session, generation)
    settings = GenerationSettings.model_validate(generation.settings)
    plan = settings.plan()
    context.progress(phase="loading the model")
    composer = _composer_of(context.store, model)
    context.check()
    context.progress(phase=phase)
    with TakeWriter(context, generation, settings) as writer:

        def finished(position: int, notes: Notes) -> None:
            index = missing[position]
            writer.add(index, *plan[index], notes)

        def interrupted() -> bool:
            # Asked after every few steps: a finished take does not wait for a long one beside it to be seen.
            writer.flush_if_due()
            return context.interrupted()

        composer.compose(
            [plan[index] for index in missing],
            settings.of_take(settings.temperatures[0]),
            _read_primer(context.store, generation, settings),
            finished,
            interrupted,
            log=context.warn_once,
        )


def _read_primer(store: ArtifactStore, generation: Generation, settings: GenerationSettings) -> Notes | None:
    if settings.primer is None:
        return None
    return read_midi(store.read(generation.primer_key)).notes[: settings.primer.notes]


def _composer_of(store: ArtifactStore, model: Model) -> Composer:
    return _composers.of(model.content_hash, lambda: Composer(stored_checkpoint(store, model)))
