"""`python -m benchmarks.import_once ZIP`: import a zip as a worker does, in a process of its own, and print figures.

One line of JSON: `seconds` of the unit, `pieces`, and `memory_bytes`: the most that this process had resident, and the
same of its largest reader twice, since two readers work side by side.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.installation import installation
from core.datasets.settings import ImportSettings
from core.models.datasets import Piece
from core.models.jobs import Queue
from core.services.datasets import create_import
from core.services.uploads import save_upload

_READERS = 2
# macOS counts bytes, Linux kilobytes.
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    """Import the zip named on the command line."""
    path = Path(sys.argv[1])
    with installation() as place:
        with path.open("rb") as stream:
            upload = save_upload(place.database, place.store, stream, path.name, "local", 2**40)
        with place.database.transaction() as session:
            create_import(session, ImportSettings.parse({"source": "upload", "uploads": [upload.id]}))
        started = time.perf_counter()
        place.run_waiting(Queue.LIGHT)
        seconds = time.perf_counter() - started
        with place.database.reading() as session:
            pieces = session.scalar(select(func.count()).select_from(Piece))
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        reader = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        memory_bytes = (own + _READERS * reader) * _MAXRSS_BYTES
        print(json.dumps({"seconds": seconds, "pieces": pieces, "memory_bytes": memory_bytes}))


if __name__ == "__main__":
    main()
