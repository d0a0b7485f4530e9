"""What a worker tells of itself every few seconds, beside its beat: its machine's figures, and what it has counted."""

from __future__ import annotations

import logging
import threading

from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from core.machine import measure_machine
from core.models.workers import Worker
from core.queue.tallies import Tallies, store_tallies
from core.records.database import Database
from worker.presence import Presence

_REPORT_SECONDS = 5.0
_logger = logging.getLogger(__name__)


class Reporter:
    """A thread that reports for one worker; `tallies` is where the runner counts."""

    def __init__(self, database: Database, presence: Presence, every_seconds: float = _REPORT_SECONDS) -> None:
        self.tallies = Tallies()
        self._database = database
        self._presence = presence
        self._every_seconds = every_seconds
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._report_on, name="reports", daemon=True)

    def start(self) -> None:
        """Start reporting; it ends with the process, or with `close`."""
        self._thread.start()

    def close(self) -> None:
        """Report once more and end."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self.report()

    def report(self) -> None:
        """Report now; what a database that is away did not take goes with the next report."""
        figures = measure_machine()
        busy_seconds, taken = self.tallies.take()
        try:
            with self._database.transaction() as session:
                session.execute(
                    update(Worker)
                    .where(Worker.name == self._presence.name, Worker.pid == self._presence.pid)
                    .values(figures=figures, busy_seconds=Worker.busy_seconds + busy_seconds)
                    .execution_options(synchronize_session=False)
                )
                store_tallies(session, taken)
        except DBAPIError as error:
            self.tallies.put_back(busy_seconds, taken)
            _logger.warning("a report was not taken: %s", error.orig)

    def _report_on(self) -> None:
        while not self._closed.is_set():
            self.report()
            self._closed.wait(self._every_seconds)
