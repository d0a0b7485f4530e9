"""`python -m worker.maintenance`: brings back what was lost, and sends tickets where units wait without one.

Two of them at once do no harm: every write is conditional on what was seen.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from core.artifacts import ArtifactStore
from core.errors import CadenzaError
from core.logs import configure_logging
from core.models.base import utc_now
from core.models.jobs import JobKind, Queue
from core.notifications.courier import Courier
from core.notifications.outbox import delete_old
from core.operations.retention_rule import RetentionRuns
from core.queue.control import anything_due, start_due
from core.queue.limits import block_spent
from core.queue.recovery import Observer
from core.queue.starting import BEAT_SECONDS, beat, begin
from core.queue.waiting import queue_counts
from core.queue.yielding import Yielding
from core.records.database import Database
from core.records.revisions import wait_until_current
from core.services.datasets import sweep_datasets
from core.services.sweeping import EndedSweep, sweep
from core.services.uploads import delete_stale
from core.settings import Settings
from worker.names import MOST_TICKETS
from worker.tickets import Tickets

_LOOK_SECONDS = 1.0
_TIDY_SECONDS = 10.0
_HOUR_SECONDS = 3600.0
_LIMITS_SECONDS = 30.0
_STOP_SECONDS = 2.0
_logger = logging.getLogger(__name__)


class Maintenance:
    """The rounds of one maintenance process."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = Database.of(settings)
        self._store = ArtifactStore.of(settings)
        self._tickets = Tickets(settings)
        self._observer = Observer(self._database, settings.lost_after_seconds, settings.attempts_limit, clock)
        self._yielding = [
            Yielding(self._database, settings.yield_after_seconds, clock, queue, kind)
            for queue, kind in ((Queue.TRAINING, JobKind.TRAINING), (Queue.GENERATION, JobKind.EVALUATION))
        ]
        self._courier = Courier(self._database, settings)
        self._retention = RetentionRuns(self._database, self._store, settings.retention_days, clock)
        self._clock = clock
        self._ended_sweep = EndedSweep(self._database, self._store)
        self._clean_at = self._tidy_at = self._limits_at = self._beat_at = clock()

    def run(self, ended: threading.Event) -> None:
        """Make rounds until `ended` is set, whatever is away meanwhile."""
        # What may wait for others' servers, or takes long, has threads of its own: nothing here may wait for those.
        aside = [
            threading.Thread(target=_round_on, args=(work, ended), name=work.__name__, daemon=True)
            for work in (*self._courier.rounds(), self._retention.delete_expired_takes, self.beat)
        ]
        for thread in aside:
            thread.start()
        _round_on(self.look, ended)
        for thread in aside:
            thread.join(_STOP_SECONDS)

    def close(self) -> None:
        """Close the database's connections."""
        self._database.dispose()

    def beat(self) -> None:
        """Leave a sign now and then that the system runs, however long a round takes."""
        if self._clock() >= self._beat_at:
            self._beat_at = self._clock() + BEAT_SECONDS
            with self._database.transaction() as session:
                beat(session)

    def look(self) -> None:
        """One round."""
        recovered = self._observer.look()
        if recovered.units:
            _logger.warning("units %s went back to the queue: their workers fell silent", list(recovered.units))
        if recovered.workers:
            _logger.warning("workers %s are gone", list(recovered.workers))
        self._start_due()
        for yielding in self._yielding:
            yielding.look()
        if self._clock() >= self._limits_at:
            self._limits_at = self._clock() + _LIMITS_SECONDS
            with self._database.transaction() as session:
                block_spent(session)
        self._top_up()
        if self._clock() >= self._tidy_at:
            self._tidy_at = self._clock() + _TIDY_SECONDS
            self._ended_sweep.look()
        if self._clock() >= self._clean_at:
            self._clean_at = self._clock() + _HOUR_SECONDS
            delete_stale(self._database, self._store)
            sweep_datasets(self._database, self._store)
            sweep(self._database, self._store)
            delete_old(self._database)

    def _start_due(self) -> None:
        with self._database.reading() as session:
            if not anything_due(session, utc_now()):
                return
        with self._database.transaction() as session:
            start_due(session, utc_now())

    def _top_up(self) -> None:
        with self._database.reading() as session:
            counts = queue_counts(session)
        for queue in Queue:
            # A worker goes on by itself while units wait, so tickets only matter as far as workers are idle.
            wanted = min(counts[queue].waiting, max(counts[queue].workers - counts[queue].running, 0), MOST_TICKETS)
            if wanted and self._tickets.untaken(queue) == 0:
                self._tickets.send(queue, wanted)


def _round_on(work: Callable[[], object], ended: threading.Event) -> None:
    """Do `work` again and again until `ended` is set, whatever is away meanwhile."""
    while not ended.wait(_LOOK_SECONDS):
        try:
            work()
        except (DBAPIError, CadenzaError, OSError) as error:
            _logger.warning("this round was cut short: %s", error)


def main() -> int:
    """Make rounds until SIGTERM or SIGINT; the exit status."""
    settings = Settings()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        database = Database.of(settings)
        wait_until_current(database, settings.wait_for_tables_seconds, lambda line: sys.stderr.write(f"{line}\n"))
        if paused := begin(database):
            sys.stderr.write(f"The system starts with paused queues, as chosen: {', '.join(paused)}.\n")
        database.dispose()
    except CadenzaError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure_logging(settings, "maintenance")
    Maintenance(settings).run(ended)
    return 0


if __name__ == "__main__":
    sys.exit(main())
