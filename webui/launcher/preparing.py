"""What is done to an installation's database before any of its parts may use it."""

from __future__ import annotations

from collections.abc import Callable

from core.operations.upgrading import upgrade_with_copy
from core.queue.queues import apply_start
from core.queue.starting import beat
from core.records.database import Database
from core.settings import Settings


def prepare(settings: Settings, tell: Callable[[str], object], *, paused: bool) -> None:
    """Upgrade the tables after a copy of their rows, and pause queues where that was chosen, or all with `paused`.

    Raises:
        CadenzaError: the database is of a version that is not known.
        StorageError: the copy cannot be written; nothing is upgraded then.
    """
    database = Database(settings.resolved_database_url)
    try:
        upgrade_with_copy(database, settings.data_dir.absolute() / "backups", tell)
        with database.transaction() as session:
            # The parts that start now find this sign, and leave the queues as they are.
            beat(session)
            if held_queues := apply_start(session, paused=paused):
                tell(f"Paused as chosen: {', '.join(held_queues)}. `cadenza queue resume` lets them go on.")
    finally:
        database.dispose()
