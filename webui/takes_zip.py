"""All takes of a generation, or the chosen ones, as one zip that is made while it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from zipstream import ZipStream

from core.artifacts import ArtifactStore
from core.errors import InputError
from core.models.generations import Generation, Take
from core.records.database import Database
from core.services.generations import get_generation
from core.services.takes import take_file_name, takes_csv

_BATCH = 500


def stream_takes(
    database: Database, store: ArtifactStore, generation_id: int, take_ids: Sequence[int] | None = None
) -> tuple[str, Iterator[bytes]]:
    """The zip's file name and its blocks: each take's MIDI file in order, then `takes.csv`.

    No transaction stays open while a slow reader downloads, and files pass through one at a time.

    Raises:
        NotFoundError: there is no such generation.
        InputError: a chosen take is not of this generation.
    """
    with database.reading() as session:
        generation = get_generation(session, generation_id)
        statement = select(Take.id).where(Take.generation_id == generation_id).order_by(Take.index)
        there = list(session.scalars(statement))
    if take_ids is not None:
        strangers = set(take_ids).difference(there)
        if strangers:
            raise InputError.of("ids", f"ids: generation {generation_id} has no take {min(strangers)}.")
        chosen = set(take_ids)
        there = [take_id for take_id in there if take_id in chosen]
    return f"generation-{generation_id}-takes.zip", _blocks(database, store, generation, there)


def _blocks(
    database: Database, store: ArtifactStore, generation: Generation, take_ids: Sequence[int]
) -> Iterator[bytes]:
    # MIDI shrinks to about a third, but level 1 keeps thousands of takes a second.
    archive = ZipStream(compress_type=8, compress_level=1)
    sent: list[Take] = []
    for first in range(0, len(take_ids), _BATCH):
        with database.reading() as session:
            batch = select(Take).where(Take.id.in_(take_ids[first : first + _BATCH])).order_by(Take.index)
            takes = session.scalars(batch).all()
        for take in takes:
            archive.add(store.read(take.midi_key), take_file_name(take))
            yield from archive.all_files()
        sent.extend(takes)
    archive.add(takes_csv(generation, sent), "takes.csv")
    yield from archive.finalize()
