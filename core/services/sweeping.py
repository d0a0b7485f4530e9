"""Removing files that no row speaks of: what a death between a file and its row, or between a row and its file, left.

Only files that have not been written for a day are removed, so that one whose row is about to be committed is safe;
a key that comes back to use is written anew first, which makes it young.
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
from core.models.jobs import Job
from core.models.trainings import Model, Training
from core.records.database import Database

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
    return {key for statement in statements.get(folder, [_takes(folder, keys)]) for key in session.scalars(statement)}


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
