"""Removing files that no row speaks of: what a death between a file and its row, or between a row and its file, left.

Only files that have not been written for a day are removed, so that one whose row is about to be committed is safe;
a key that comes back to use is written anew first, which makes it young. The folders of a generation or a training
need no such patience once its job has ended: nothing that still writes there can commit a row any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.models.base import utc_now
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobState
from core.models.trainings import Model, Training
from core.records.database import Database
from core.services.rows import locked

SWEEP_AFTER = timedelta(hours=24)
_BATCH = 500
# A generation that ended longer ago was swept many times already; its thousands of files are not listed again.
_SETTLED_AFTER = timedelta(days=7)


def sweep(database: Database, store: ArtifactStore, older_than: timedelta = SWEEP_AFTER) -> int:
    """Remove files of generations, trainings, models, primers and audio that no row speaks of; how many.

    Twice at once is no error. Uploads and datasets have sweeps of their own.
    """
    removed = 0
    for folder in _folders(database, store, older_than):
        # Listed before their rows are read: a file is stored, or written anew, before its row is.
        keys = [key for key in store.files(folder) if _is_old(store, key, older_than)]
        for at in range(0, len(keys), _BATCH):
            batch = keys[at : at + _BATCH]
            with database.reading() as session:
                unknown = sorted(set(batch) - _known(session, folder, batch))
            for key in unknown:
                if _is_old(store, key, older_than):
                    store.delete(key)
                    removed += 1
    return removed


class EndedSweep:
    """Tidies the folders of generations and trainings soon after their jobs have ended; each once.

    `recent` is how far back the first look goes, which finds what ended while nobody looked.
    """

    def __init__(self, database: Database, store: ArtifactStore, recent: timedelta = timedelta(hours=2)) -> None:
        self._database = database
        self._store = store
        self._recent = recent
        self._active: set[int] | None = None

    def look(self) -> int:
        """Tidy what has ended since the last look; how many files were removed."""
        with self._database.reading() as session:
            open_states = (JobState.QUEUED, JobState.RUNNING)
            active = set(session.scalars(select(Job.id).where(Job.state.in_(open_states))))
            if self._active is None:
                ended = set(session.scalars(select(Job.id).where(Job.finished_at >= utc_now() - self._recent)))
            else:
                ended = self._active - active
            folders = [
                (job_id, f"{name}/{number}")
                for name, table in (("generations", Generation), ("trainings", Training))
                for job_id, number in session.execute(
                    select(Job.id, table.id).join(table, table.job_id == Job.id).where(Job.id.in_(ended))
                )
            ]
        removed = sum(self._tidy(job_id, folder) for job_id, folder in folders)
        self._active = active
        return removed

    def _tidy(self, job_id: int, folder: str) -> int:
        # Listed before the rows are read, since a file is stored before its row is.
        unknown = self._unknown(folder, self._store.files(folder))
        if not unknown:
            return 0
        with self._database.transaction() as session:
            # Locked, so that nobody tries the job again, and writes such a key anew, while files are removed.
            job = locked(session, Job, job_id)
            if job is None or not job.state.is_final:
                return 0
            unknown = sorted(set(unknown) - _known(session, folder, unknown))
            for key in unknown:
                self._store.delete(key)
        return len(unknown)

    def _unknown(self, folder: str, keys: list[str]) -> list[str]:
        unknown: list[str] = []
        for at in range(0, len(keys), _BATCH):
            batch = keys[at : at + _BATCH]
            with self._database.reading() as session:
                unknown += sorted(set(batch) - _known(session, folder, batch))
        return unknown


def _folders(database: Database, store: ArtifactStore, older_than: timedelta) -> Iterator[str]:
    yield from ("trainings", "models", "primers", "audio")
    folders = store.children("generations")
    limit = utc_now() - _SETTLED_AFTER - older_than
    with database.reading() as session:
        rows = session.execute(select(Generation.id, Job.finished_at).outerjoin(Job, Generation.job_id == Job.id)).all()
    settled = {f"generations/{number}" for number, ended in rows if ended is not None and ended < limit}
    yield from (folder for folder in folders if folder not in settled)


def _known(session: Session, folder: str, keys: list[str]) -> set[str]:
    """Those of a folder's keys that a row speaks of. What a dead writer left aside has another ending, so none does."""
    if folder == "audio":
        digests = {key: key.rpartition("/")[2].partition(".")[0] for key in keys if key.count(".") == 1}
        made = set(session.scalars(select(Take.sha256).where(Take.sha256.in_(digests.values()))))
        return {key for key, digest in digests.items() if digest in made}
    statements: dict[str, list[Select[str]]] = {
        "primers": [select(Generation.primer_key).where(Generation.primer_key.in_(keys))],
        "models": [select(Model.checkpoint_key), select(Model.last_checkpoint_key)],
        "trainings": [select(Training.resume_key), select(Training.best_key), select(Training.last_key)],
    }
    kind = "trainings" if folder.startswith("trainings/") else folder
    return {key for statement in statements.get(kind, [_takes(folder, keys)]) for key in session.scalars(statement)}


def _takes(folder: str, keys: list[str]) -> Select[str]:
    """The files of a generation's takes whose places in the plan the keys name, found by index."""
    number = folder.rpartition("/")[2]
    places = [re.match("[0-9]{1,9}", key.rpartition("/")[2]) for key in keys]
    return select(Take.midi_key).where(
        Take.generation_id == (int(number) if re.fullmatch("[0-9]{1,9}", number) else 0),
        Take.index.in_([int(place[0]) for place in places if place is not None]),
    )


def _is_old(store: ArtifactStore, key: str, older_than: timedelta) -> bool:
    modified = store.modified(key)
    return modified is not None and modified <= utc_now() - older_than
