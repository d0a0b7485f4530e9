"""Rows and files as the workers would have made them, for tests of pages, API and command line."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from sqlalchemy import select, update

from core.artifacts import ArtifactStore
from core.datasets.corpus import Corpus, Split
from core.evaluation.originality import VERSION
from core.evaluation.results import music_results, originality_results
from core.evaluation.unrelated import Unrelated
from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.models.base import utc_now
from core.models.datasets import Dataset, Piece, Rejection
from core.models.evaluations import Evaluation, SharedPassage
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobKind, JobState, Queue, Unit, UnitState
from core.models.trainings import Model, Training, TrainingPoint
from core.models.workers import Worker, WorkerState
from core.music.measures import find_defect, measure
from core.music.notes import Notes
from core.music.provenance import Provenance
from core.music.writing import write_midi
from core.queue.enqueue import enqueue
from core.records.database import Database
from core.sampling.facts import SAMPLER_VERSION
from core.sampling.settings import GenerationSettings
from core.services.evaluations import create_evaluation
from core.services.generations import create_generation
from core.services.lineage import link_to_training
from core.training.settings import LstmSettings

FIGURES = {f"held_out_nats_per_{unit}": value for unit, value in (("event", 2.5), ("note", 6.25), ("second", 50.5))}


def some_notes(seed: int, count: int = 60) -> Notes:
    """Notes that differ from seed to seed."""
    generator = np.random.default_rng(seed)
    onsets = np.cumsum(generator.integers(5, 40, count)) / 100
    return Notes.of(onsets, np.full(count, 0.2), generator.integers(40, 90, count), generator.integers(30, 110, count))


@dataclass(frozen=True)
class WebContent:
    """Fills one installation."""

    database: Database
    store: ArtifactStore

    def dataset(self, name: str = "Small pieces", pieces: int = 5, content_hash: str = "ab" * 32) -> int:
        """A dataset that is ready, its last piece for validation; of the same music as all with its content hash."""
        music = [some_notes(1_000 + index) for index in range(pieces)]
        splits: list[Split] = ["train"] * (pieces - 1) + ["validation"]
        originals = io.BytesIO()
        with zipfile.ZipFile(originals, "w") as archive:
            for index, notes in enumerate(music):
                archive.writestr(f"{index:06d}.mid", write_midi(notes))
        with self.database.transaction() as session:
            dataset = Dataset(
                name=name, source={"kind": "upload", "settings": {}}, ready=True, content_hash=content_hash
            )
            session.add(dataset)
            session.flush()
            dataset.corpus_key, dataset.originals_key = f"datasets/{dataset.id}/c.npz", f"datasets/{dataset.id}/o.zip"
            dataset.pieces_count, dataset.notes_count, dataset.seconds = pieces, 60 * pieces, 15.5 * pieces
            dataset.rejected_count = 1
            totals = {"train": pieces - 1, "validation": 1, "test": 0}
            dataset.statistics = {
                "splits": {
                    split: {
                        "pieces": count,
                        "notes": 60 * count,
                        "events": 200 * count,
                        "longest_events": 200,
                        "seconds": 15.5 * count,
                    }
                    for split, count in totals.items()
                }
            }
            for index, notes in enumerate(music):
                session.add(
                    Piece(
                        dataset_id=dataset.id,
                        index=index,
                        title=f"Piece {index}",
                        file_name=f"folder/piece {index}.mid",
                        sha256=hashlib.sha256(write_midi(notes)).hexdigest(),
                        split=splits[index],
                        notes_count=len(notes),
                        seconds=notes.end_seconds,
                        instruments=[{"name": "Acoustic Grand Piano", "program": 0, "is_drum": False, "notes": 60}],
                    )
                )
            session.add(Rejection(dataset_id=dataset.id, file_name="bad.mid", reason="This is not a MIDI file."))
        self.store.write(dataset.corpus_key, Corpus.of(music, splits).to_bytes())
        self.store.write(dataset.originals_key, originals.getvalue())
        return dataset.id

    def checkpoint(self, seed: int = 0) -> Checkpoint:
        """A small untrained network."""
        settings = LstmSettings(seed=seed, embedding=8, units=8)
        return Checkpoint("lstm", "performance", settings.model_dump(mode="json"), initial_weights(settings))

    def model(self, name: str = "Small", seed: int = 0) -> int:
        """A model that can be downloaded."""
        checkpoint = self.checkpoint(seed)
        key = f"models/{checkpoint.content_hash}/best.cadenza"
        self.store.write(key, checkpoint.to_bytes())
        with self.database.transaction() as session:
            model = Model(
                name=name,
                family="lstm",
                encoding="performance",
                settings=checkpoint.settings,
                figures=FIGURES,
                parameters=checkpoint.parameters,
                content_hash=checkpoint.content_hash,
                checkpoint_key=key,
                dataset_name="Small pieces",
            )
            session.add(model)
        return model.id

    def training(self, dataset_id: int, model_id: int) -> int:
        """A training that produced a model."""
        with self.database.transaction() as session:
            training = Training(
                dataset_id=dataset_id,
                name="Done",
                family="lstm",
                settings=LstmSettings().model_dump(mode="json"),
                step=500,
                steps=500,
                figures=FIGURES,
            )
            session.add(training)
            session.flush()
            model, dataset = session.get_one(Model, model_id), session.get(Dataset, dataset_id)
            link_to_training(session, model, training, dataset)
            for step in (100, 200, 300):
                values = {"train_loss": 4 - step / 200, "seconds": step * 1.5}
                session.add(TrainingPoint(training_id=training.id, step=step, values=values))
        return training.id

    def generation(self, model_id: int, seeds: str = "0-7", made: int | None = None) -> int:
        """A generation of which `made` takes (all by default) are finished; its job has succeeded when all are."""
        values = {"seeds": seeds, "length": 60}
        with self.database.transaction() as session:
            generation_id = create_generation(session, self.store, model_id=model_id, values=values).id
        self.make_takes(generation_id, made)
        return generation_id

    def evaluation(self, model_id: int, dataset_id: int, generation_id: int | None = None, results: bool = True) -> int:
        """A finished evaluation (or one that waits), with figures of made-up music and passages of its takes."""
        with self.database.transaction() as session:
            evaluation = create_evaluation(
                session, self.store, model_id=model_id, dataset_id=dataset_id, generation_id=generation_id
            )
        if not results:
            return evaluation.id
        likelihood = {"kind": "events", "nats_per_event": 2.1, "nats_per_note": 6.5, "nats_per_second": 50.0}
        music = music_results(
            [some_notes(seed) for seed in range(8)], [some_notes(500 + seed, 120) for seed in range(8)], 8.0
        )
        unrelated = Unrelated(tuple(range(5, 25)), 1, 8)
        with self.database.transaction() as session:
            row = session.get_one(Evaluation, evaluation.id)
            originality = originality_results([9, 12, 40], [200, 200, 200], unrelated)
            takes = session.scalars(select(Take).where(Take.generation_id == generation_id)).all()
            piece = session.scalars(select(Piece).where(Piece.dataset_id == dataset_id).limit(1)).one()
            row.results = {
                "likelihood": {**likelihood, "events": 900, "notes": 300, "seconds": 40.0, "pieces": 3, "seen": 1},
                "music": music,
                "originality": {
                    **originality,
                    "dataset_id": dataset_id,
                    "dataset_name": row.dataset_name,
                    "longest_take_id": takes[0].id if takes else None,
                },
            }
            row.finished_at = utc_now()
            for take, notes in zip(takes[:2], (40, 0), strict=False):
                own = {"piece_id": piece.id, "take_begin_seconds": 1.0, "take_end_seconds": 6.0} if notes else {}
                session.add(
                    SharedPassage(
                        take_id=take.id,
                        dataset_id=dataset_id,
                        notes=notes,
                        threshold=25,
                        flagged=notes >= 25,
                        piece_begin_seconds=2.0,
                        piece_end_seconds=7.0,
                        transposition=-2,
                        tempo=1.1,
                        version=VERSION,
                        **own,
                    )
                )
        self.finish_job(evaluation.job_id or 0)
        return evaluation.id

    def make_takes(self, generation_id: int, count: int | None = None) -> None:
        """Finish the next `count` takes of a generation (all by default), as a worker would."""
        with self.database.transaction() as session:
            generation = session.get_one(Generation, generation_id)
            settings = GenerationSettings.model_validate(generation.settings)
            plan = settings.plan()
            first = generation.takes_done
            last = len(plan) if count is None else min(first + count, len(plan))
            for index in range(first, last):
                session.add(self._take(generation, settings, index, *plan[index]))
            generation.takes_done = last
            if generation.job is not None:
                generation.job.progress_done = last
        if last == len(plan) and generation.job_id:
            self.finish_job(generation.job_id)

    def finish_job(self, job_id: int, state: JobState = JobState.SUCCEEDED, error: str = "") -> None:
        """End a job, as a worker would."""
        units = {JobState.SUCCEEDED: UnitState.DONE, JobState.FAILED: UnitState.FAILED}
        with self.database.transaction() as session:
            job = session.get_one(Job, job_id)
            job.state, job.error, job.error_trace = state, error, "Traceback" if error else ""
            session.execute(
                update(Unit).where(Unit.job_id == job_id).values(state=units.get(state, UnitState.CANCELLED))
            )

    def worker(self, name: str = "worker-1") -> None:
        """A worker that is ready for every queue."""
        queues = ["training", "generation", "light"]
        with self.database.transaction() as session:
            session.add(Worker(name=name, host="here", pid=1, queues=queues, device="CPU", state=WorkerState.READY))

    def take_ids(self, generation_id: int) -> list[int]:
        """The numbers of a generation's takes, in order."""
        with self.database.reading() as session:
            statement = select(Take.id).where(Take.generation_id == generation_id).order_by(Take.index)
            return list(session.scalars(statement))

    def _take(
        self, generation: Generation, settings: GenerationSettings, index: int, seed: int, temperature: float
    ) -> Take:
        notes = some_notes(seed)
        own = settings.of_take(temperature).model_dump(mode="json")
        midi = write_midi(notes, provenance=Provenance(generation.model_hash, seed, own, SAMPLER_VERSION))
        key = f"generations/{generation.id}/takes/{index}.mid"
        self.store.write(key, midi)
        measures = measure(notes).as_dict()
        return Take(
            generation_id=generation.id,
            index=index,
            seed=seed,
            temperature=temperature,
            midi_key=key,
            midi_bytes=len(midi),
            sha256=hashlib.sha256(midi).hexdigest(),
            notes_count=len(notes),
            seconds=notes.end_seconds,
            notes_per_second=measures["notes_per_second"],
            pitch_class_entropy=measures["pitch_class_entropy"],
            polyphony=measures["polyphony"],
            measures=measures,
            defect=find_defect(notes),
        )

    def measured_job(self, queue: Queue, kind: JobKind, *, work: float, seconds: float) -> int:
        """A job that was done and took so long."""
        with self.database.transaction() as session:
            done = enqueue(
                session, kind=kind, queue=queue, title="m", owner="local", payloads=[{}], request={}, work=work
            )
            done.state = JobState.SUCCEEDED
            ended = utc_now()
            session.execute(
                update(Unit)
                .where(Unit.job_id == done.id)
                .values(state=UnitState.DONE, claimed_at=ended - timedelta(seconds=seconds), finished_at=ended)
            )
            return done.id
