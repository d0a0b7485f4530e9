"""Deleting takes that nobody kept: not starred, without a remark, never downloaded, and older than a number of days.

The generation stays, with its seeds and settings, so that any of its takes can be made again, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.models.base import utc_now
from core.models.datasets import Dataset
from core.models.generations import Generation, Take
from core.models.jobs import Job, JobState
from core.models.trainings import Model
from core.models.uploads import Upload
from core.queue.storage import stored_bytes
from core.records.database import Database, announce
from core.services.generations import job_using_takes
from core.services.rows import locked

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Expired:
    """What retention would delete of one person: takes, and the size of their MIDI files in bytes."""

    owner: str
    takes: int
    bytes: int


def expiry(days: int) -> datetime:
    """Takes that were made before this moment are older than a number of days."""
    return utc_now() - timedelta(days=days)


def find_expired(database: Database, days: int) -> list[Expired]:
    """What has expired, by owner; deletes nothing."""
    with database.reading() as session:
        rows = session.execute(
            select(Generation.owner, func.count(Take.id), func.sum(Take.midi_bytes))
            .join(Take, Take.generation_id == Generation.id)
            .outerjoin(Job, Job.id == Generation.job_id)
            .where(_is_over(), _expired(expiry(days)))
            .group_by(Generation.owner)
            .order_by(Generation.owner)
        )
        return [Expired(owner, takes, int(size or 0)) for owner, takes, size in rows]


def find_stored(database: Database) -> dict[str, int]:
    """Bytes that each owner of anything keeps in the store."""
    with database.reading() as session:
        owners = {
            owner
            for table in (Generation, Model, Dataset, Upload)
            for owner in session.scalars(select(table.owner).distinct())
        }
        stored = stored_bytes(session, sorted(owners))
        return {owner: stored[owner] for owner in owners}


def count_nothing(_session: Session, _takes: int, _size: int) -> None:
    """For deletions that nobody counts."""


def delete_expired(
    database: Database,
    store: ArtifactStore,
    before: datetime,
    count: Callable[[Session, int, int], None] = count_nothing,
) -> int:
    """Delete what has expired; how many takes. Twice at once is no error.

    A generation that still runs, or whose takes a job uses, is left for the next time.

    Args:
        database: where the takes are.
        store: where their files are.
        before: takes that were made before it go.
        count: called in each transaction that deletes some, with their number and their files' bytes.

    Raises:
        StorageError: the store refuses.
    """
    with database.reading() as session:
        numbers = session.scalars(
            select(Generation.id)
            .outerjoin(Job, Job.id == Generation.job_id)
            .where(Generation.created_at < before, Generation.takes_done > 0, _is_over())
            .order_by(Generation.id)
        ).all()
    return sum(_delete_of(database, store, number, before, count) for number in numbers)


def note_downloads(database: Database, generation_id: int | None = None, take_ids: Sequence[int] | None = None) -> None:
    """Remember that takes were downloaded: those of the numbers, or all of a generation. Never fails a download."""
    chosen = [Take.generation_id == generation_id] if generation_id is not None else []
    batches = [take_ids[at : at + _BATCH] for at in range(0, len(take_ids), _BATCH)] if take_ids is not None else [None]
    try:
        for batch in batches:
            wanted = and_(*chosen, *([Take.id.in_(batch)] if batch is not None else []), Take.downloaded_at.is_(None))
            with database.reading() as session:
                if session.scalar(select(Take.id).where(wanted).limit(1)) is None:
                    continue
            with database.transaction() as session:
                session.execute(
                    update(Take)
                    .where(wanted)
                    .values(downloaded_at=utc_now())
                    .execution_options(synchronize_session=False)
                )
    except DBAPIError:
        return


def _delete_of(
    database: Database,
    store: ArtifactStore,
    generation_id: int,
    before: datetime,
    count: Callable[[Session, int, int], None],
) -> int:
    deleted = 0
    while True:
        with database.transaction() as session:
            generation = locked(session, Generation, generation_id)
            if generation is None or job_using_takes(session, generation_id):
                return deleted
            rows = session.execute(
                select(Take.id, Take.midi_key, Take.midi_bytes)
                .where(Take.generation_id == generation_id, _expired(before))
                .order_by(Take.id)
                .limit(_BATCH)
            ).all()
            if not rows:
                return deleted
            session.execute(
                delete(Take).where(Take.id.in_([row.id for row in rows])).execution_options(synchronize_session=False)
            )
            generation.takes_done -= len(rows)
            size = sum(row.midi_bytes for row in rows)
            generation.stored_bytes = max(generation.stored_bytes - size, 0)
            count(session, len(rows), size)
            announce(session, f"generation:{generation_id}", "generations")
        # Rows first: a file without a row is rubbish, a row without its file would be a lost take.
        for row in rows:
            store.delete(row.midi_key)
        deleted += len(rows)


def _expired(before: datetime) -> ColumnElement[bool]:
    return and_(Take.created_at < before, ~Take.starred, Take.note == "", Take.downloaded_at.is_(None))


def _is_over() -> ColumnElement[bool]:
    return or_(Job.id.is_(None), Job.state.in_([state for state in JobState if state.is_final]))
