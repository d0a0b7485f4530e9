"""Bringing the tables of an installation to this program's revision, with a copy of what they held before."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.models.base import utc_now
from core.operations.backup import Tell, copy_rows
from core.records import schema
from core.records.database import Database

_COPIES_KEPT = 3
_PREFIX = "before-upgrade-"


def upgrade_with_copy(database: Database, folder: Path, tell: Tell = lambda _: None) -> str:
    """Upgrade the tables, after a copy of all rows into `folder`; the revision that was reached.

    Nothing is copied when there are no tables yet, or nothing to upgrade. `cadenza restore` puts a copy back.

    Raises:
        CadenzaError: the tables are of a revision that this program does not know.
        StorageError: the copy cannot be written; nothing is upgraded then.
    """
    before = schema.current(database)
    if before and before != schema.newest() and schema.is_known(before):
        copy = folder / f"{_PREFIX}{before}-{utc_now():%Y%m%d-%H%M%S}"
        tell(
            f"The tables are of revision {before}, this program needs {schema.newest()}; copying them to {copy} first."
        )
        copy_rows(database, copy)
        for old in sorted(folder.glob(f"{_PREFIX}*[0-9]"), key=lambda path: path.stat().st_mtime)[:-_COPIES_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    reached = schema.upgrade(database)
    if before and before != reached:
        tell(f"The tables were upgraded to revision {reached}.")
    return reached
