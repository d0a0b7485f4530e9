"""Tiny real models, made by real trainings on made-up music, and units claimed as a worker claims them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from core.artifacts import ArtifactStore
from core.datasets.corpus import Corpus, Split
from core.modeling.checkpoints import Checkpoint
from core.models.datasets import Dataset, Piece
from core.models.generations import Generation, Take
from core.models.jobs import Job, Queue
from core.music.notes import Notes
from core.music.writing import write_midi
from core.queue import lifecycle
from core.queue.claim import claim
from core.records.database import Database
from core.services.generations import create_generation
from core.services.models import upload_model
from core.settings import Settings
from core.training.hooks import SilentHooks
from core.training.settings import LstmSettings, TutorialSettings
from worker.unit_context import UnitContext

TINY_LSTM = {"embedding": 8, "units": 16, "steps": 12, "evaluate_every": 6, "batch_size": 4, "window": 32}
TINY_TUTORIAL = {"window": 5, "epochs": 1, "batch_size": 16}


def melody(seed: int, count: int = 60) -> Notes:
    """A wandering melody with chords."""
    generator = np.random.default_rng(seed)
    onsets = np.cumsum(generator.choice([0.0, 0.12, 0.25], count))
    return Notes.of(onsets, generator.choice([0.1, 0.3], count), generator.permutation(88)[:count] + 21, [70] * count)


SPLITS: list[Split] = ["train", "train", "train", "validation"]


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """Four short pieces."""
    return Corpus.of([melody(number) for number in range(len(SPLITS))], SPLITS)


@pytest.fixture(scope="session")
def tiny_lstm(corpus: Corpus) -> bytes:
    """A checkpoint of a dozen steps."""
    return _trained(LstmSettings.model_validate(TINY_LSTM), corpus)


@pytest.fixture(scope="session")
def tiny_tutorial(corpus: Corpus) -> bytes:
    """A checkpoint of one epoch of the article's network."""
    return _trained(TutorialSettings.model_validate(TINY_TUTORIAL), corpus)


def _trained(settings: LstmSettings | TutorialSettings, corpus: Corpus) -> bytes:
    from core.training.run import train  # TensorFlow takes its time, so only tests that train wait for it

    checkpoint: Checkpoint = train(settings, corpus, SilentHooks()).best
    return checkpoint.to_bytes()


@dataclass(frozen=True)
class Workplace:
    """An installation without processes: submit by the services, claim and run units by hand."""

    database: Database
    store: ArtifactStore
    settings: Settings

    def dataset(self, corpus: Corpus) -> int:
        """A ready dataset with rows and files."""
        originals = io.BytesIO()
        pieces = [notes for split in ("train", "validation") for notes in corpus.pieces(split)]  # type: ignore[arg-type]  # both are splits
        with zipfile.ZipFile(originals, "w") as archive:
            for index, notes in enumerate(pieces):
                archive.writestr(f"{index:06d}.mid", write_midi(notes))
        with self.database.transaction() as session:
            folder = f"datasets/{1 + len(session.scalars(select(Dataset.id)).all())}"
            dataset = Dataset(
                name="Made up", source={}, ready=True, corpus_key=f"{folder}/c", originals_key=f"{folder}/o"
            )
            dataset.statistics = {"splits": {"train": {"pieces": 3}, "validation": {"pieces": 1}}}
            session.add(dataset)
            session.flush()
            for index, notes in enumerate(pieces):
                own = {"notes_count": len(notes), "seconds": notes.end_seconds, "instruments": []}
                names = {"title": f"Piece {index}", "file_name": f"{index}.mid", "sha256": f"{index:064x}"}
                session.add(Piece(dataset_id=dataset.id, index=index, split=SPLITS[index], **own, **names))
        self.store.write(dataset.corpus_key, corpus.to_bytes())
        self.store.write(dataset.originals_key, originals.getvalue())
        return dataset.id

    def model(self, checkpoint: bytes) -> int:
        """An uploaded model."""
        return upload_model(self.database, self.store, checkpoint, name="tiny").id

    def generation(self, model_id: int, **values: Any) -> int:
        """A queued generation."""
        primer = values.pop("primer", None)
        with self.database.transaction() as session:
            return create_generation(session, self.store, model_id=model_id, values=values, primer=primer).id

    def claim(self, queue: Queue) -> UnitContext:
        """The next unit of a queue, as a worker gets it."""
        with self.database.exclusive() as session:
            unit = claim(session, queue, "tester")
        assert unit is not None
        return UnitContext(self.database, self.store, self.settings, unit)

    def finish(self, context: UnitContext) -> Job:
        """The unit is done, as the runner writes it."""
        with self.database.transaction() as session:
            return lifecycle.finish(session, context.unit_id, context.attempt)

    def release(self, context: UnitContext) -> None:
        """Give the unit back."""
        with self.database.transaction() as session:
            lifecycle.release(session, context.unit_id, context.attempt)

    def run_all(self, run: Callable[[UnitContext], None], queue: Queue = Queue.GENERATION) -> None:
        """Run every waiting unit of a queue."""
        while True:
            with self.database.exclusive() as session:
                unit = claim(session, queue, "tester")
            if unit is None:
                return
            context = UnitContext(self.database, self.store, self.settings, unit)
            run(context)
            self.finish(context)

    def generation_row(self, generation_id: int) -> Generation:
        """As it is now."""
        with self.database.reading() as session:
            return session.get_one(Generation, generation_id)

    def takes(self, generation_id: int) -> list[Take]:
        """Its takes, as they are now."""
        with self.database.reading() as session:
            statement = select(Take).where(Take.generation_id == generation_id).order_by(Take.index)
            return list(session.scalars(statement))

    def take_files(self, generation_id: int) -> list[str]:
        """Keys of the files that are stored for it."""
        return list(self.store.files(f"generations/{generation_id}"))


@pytest.fixture
def workplace(database: Database, store: ArtifactStore, settings: Settings) -> Workplace:
    """On each database."""
    return Workplace(database, store, settings)


@pytest.fixture
def sqlite_workplace(sqlite_url: str, store: ArtifactStore, settings: Settings) -> Workplace:
    """On SQLite alone, where the database makes no difference."""
    return Workplace(Database(sqlite_url), store, settings)


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files need not outlive a power cut here, and the disk's pace shall not decide where a unit is interrupted."""
    monkeypatch.setattr("core.artifacts.os.fsync", lambda descriptor: None)
