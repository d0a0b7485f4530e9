"""The two threads beside the one that runs units: one shows that it is alive, one watches for the end.

They are two because a beat may wait for the database, and stopping must not wait for a beat.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import bindparam, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from core.errors import SupersededError
from core.models.jobs import Job, Unit
from core.models.queues import QueueControl
from core.models.workers import WorkerState
from core.queue import lifecycle
from core.records.database import Database
from core.settings import Settings
from worker.presence import Presence
from worker.unit_context import Interrupt, UnitContext

_WATCH_SECONDS = 0.1
# Everything that `cadenza up` started shall be gone 10 s after Ctrl-C.
_STOP_GRACE_SECONDS = 4.0
_LAST_WORDS_SECONDS = 1.5
_FLAGS = (
    select(Job.cancel_requested, Job.paused, Unit.yield_requested, QueueControl.stop_running)
    .join(Unit, Unit.job_id == Job.id)
    .outerjoin(QueueControl, (QueueControl.queue == Job.queue) & QueueControl.paused)
    .where(Job.id == bindparam("job_id"), Unit.id == bindparam("unit_id"))
)
_logger = logging.getLogger(__name__)


class Pulse:
    """Beats for a worker and the unit that it runs, carries its progress, and interrupts it when it shall stop.

    `stopping` is set once the worker shall take nothing new: its parent ends, or its row asks for it. `loaded` is for
    the worker to set once it is ready.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        presence: Presence,
        stop_file: Path,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        self.stopping = threading.Event()
        self.loaded = threading.Event()
        self._database = database
        self._settings = settings
        self._presence = presence
        self._stop_file = stop_file
        self._end = end
        self._parent = os.getppid()
        self._lock = threading.Lock()
        self._context: UnitContext | None = None
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True)
            for work in (self._beat_on, self._watch)
        ]

    def start(self) -> None:
        """Start both threads; they end with the process, or with `close`."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End both threads."""
        self._closed.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def attach(self, context: UnitContext) -> None:
        """Beat for this unit from now on."""
        with self._lock:
            self._context = context
        if self.stopping.is_set():
            context.interrupt(Interrupt.STOP)

    def detach(self) -> None:
        """The unit's function has ended."""
        with self._lock:
            self._context = None

    def _beat_on(self) -> None:
        # An idle worker beats seldom, so that it leaves the disk of a small installation asleep.
        idle_seconds = max(self._settings.beat_seconds, self._settings.lost_after_seconds / 4)
        beaten_at = float("-inf")
        while True:
            # Claiming a unit is a sign of life too, so those that take less than a beat need none of their own.
            context = self._context
            if context is not None or time.monotonic() - beaten_at >= idle_seconds:
                beaten_at = time.monotonic()
                try:
                    self._beat(context)
                except SupersededError as error:
                    self._superseded(context, error)
                except DBAPIError as error:
                    _logger.warning("a beat was missed: %s", error.orig)
            if self._closed.wait(self._settings.beat_seconds):
                return

    def _beat(self, context: UnitContext | None) -> None:
        with self._database.transaction() as session:
            # The unit's row before the worker's, as the runner does; the other way round, each may wait for the other.
            if context is not None:
                lifecycle.beat(session, context.unit_id, context.attempt)
                self._read_flags(session, context)
            idle = WorkerState.READY if self.loaded.is_set() else WorkerState.STARTING
            if self._presence.beat(session, idle if context is None else WorkerState.BUSY):
                self.stopping.set()
        if context is not None:
            with context.saving:
                self._save_progress(context)

    def _save_progress(self, context: UnitContext) -> None:
        progress = context.take_progress()
        if not progress:
            return
        try:
            with self._database.transaction() as session:
                lifecycle.save_progress(session, context.unit_id, context.attempt, progress)
        except DBAPIError:
            context.put_back_progress(progress)
            raise

    def _read_flags(self, session: Session, context: UnitContext) -> None:
        flags = session.execute(_FLAGS, {"job_id": context.job_id, "unit_id": context.unit_id}).one()
        if flags.cancel_requested:
            context.interrupt(Interrupt.CANCEL)
        elif flags.paused or flags.stop_running:
            context.interrupt(Interrupt.PAUSE)
        elif flags.yield_requested:
            context.interrupt(Interrupt.YIELD)
        else:
            context.withdraw_pause()

    def _superseded(self, context: UnitContext | None, error: SupersededError) -> None:
        with self._lock:
            # One that is closing has most likely just ended well; if not, writing its outcome will say so.
            if context is not None and context is self._context and not context.closing:
                _logger.warning("%s", error)
                context.interrupt(Interrupt.SUPERSEDED)

    def _watch(self) -> None:
        while not self._closed.wait(_WATCH_SECONDS):
            parent_gone = os.getppid() != self._parent
            if parent_gone or self._stop_file.exists():
                self.stopping.set()
            with self._lock:
                context = self._context
                if context is not None and self.stopping.is_set():
                    context.interrupt(Interrupt.STOP)
            if context is None and parent_gone:
                self._end(0)
            if context is not None and self._overdue(context):
                self._replace(context)

    def _overdue(self, context: UnitContext) -> bool:
        if context.interrupted_at is None or (context.closing and context.reason is not Interrupt.STOP):
            return False
        grace = self._settings.cancel_grace_seconds
        if context.reason is Interrupt.STOP:
            grace = min(grace, _STOP_GRACE_SECONDS)
        return time.monotonic() - context.interrupted_at > grace

    def _replace(self, context: UnitContext) -> None:
        """End this process, since its unit does not stop; Celery starts another. The outcome is written first."""
        _logger.error("unit %d did not stop in time: this process is replaced", context.unit_id)
        writer = threading.Thread(target=self._last_words, args=(context,), daemon=True)
        writer.start()
        # The unit itself may hold what the writer waits for. Then the next process of this name gives it back.
        writer.join(_LAST_WORDS_SECONDS)
        self._end(1)

    def _last_words(self, context: UnitContext) -> None:
        try:
            with self._database.transaction() as session:
                lifecycle.release(session, context.unit_id, context.attempt)
                self._presence.show(session, WorkerState.STARTING)
        except (SupersededError, DBAPIError) as error:
            _logger.warning("%s", error)
