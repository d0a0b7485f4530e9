"""What the function that runs a unit sees of the world around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

from sqlalchemy.orm import Session

from core.artifacts import ArtifactStore
from core.queue import lifecycle
from core.queue.claim import Claim
from core.queue.logs import log, log_once
from core.records.database import Database
from core.settings import Settings


class Interrupt(IntEnum):
    """Why a unit shall stop; a higher one replaces a lower one."""

    YIELD = 0
    PAUSE = 1
    CANCEL = 2
    STOP = 3
    SUPERSEDED = 4


class UnitInterrupted(BaseException):
    """Raised by `check()`. Not an `Exception`, so that code which goes on after any error does not swallow it."""

    def __init__(self, reason: Interrupt) -> None:
        super().__init__(reason.name.lower())
        self.reason = reason


class UnitContext:
    """Handed to the function that runs a unit: where to read and write, how to tell progress, when to stop.

    All methods may be called from any thread.
    """

    def __init__(self, database: Database, store: ArtifactStore, settings: Settings, claim: Claim) -> None:
        self.database = database
        self.store = store
        self.settings = settings
        self.claim = claim
        self.unit_id = claim.unit_id
        self.job_id = claim.job_id
        self.attempt = claim.attempt
        self.payload = claim.payload
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._progress: lifecycle.Progress = {}
        self._interrupt: Interrupt | None = None
        self._interrupted_at: float | None = None
        # Held from taking progress until it is written, so that the last figures never come after the unit's end.
        self.saving = threading.Lock()
        # The function has ended and only its outcome is still to be written: nothing left to interrupt.
        self.closing = False

    def progress(
        self,
        done: float | None = None,
        total: float | None = None,
        unit: str | None = None,
        phase: str | None = None,
        rate: float | None = None,
        rate_unit: str | None = None,
        seconds_left: float | None = None,
        live: dict[str, Any] | None = None,
    ) -> None:
        """Remember how far the job is; shown within about a second. What is left out stays as it was.

        Args:
            done: work done so far, in `unit`.
            total: all work, in `unit`.
            unit: what is counted, such as "steps" or "takes".
            phase: what is being done now, such as "reading files".
            rate: speed in `rate_unit`, such as 120.5 "notes/s".
            rate_unit: unit of the speed.
            seconds_left: estimate of the time left, s.
            live: figures for the job's page; replaces the earlier ones.
        """
        changes = {
            "progress_done": done,
            "progress_total": total,
            "progress_unit": unit,
            "phase": phase,
            "rate": rate,
            "rate_unit": rate_unit,
            "seconds_left": seconds_left,
            "live": live,
        }
        with self._lock:
            self._progress.update({name: value for name, value in changes.items() if value is not None})  # type: ignore[typeddict-item]  # the names are those of Progress

    @property
    def elapsed_seconds(self) -> float:
        """Time since the unit was claimed, by this host's own clock."""
        return time.monotonic() - self._began

    def take_progress(self) -> lifecycle.Progress:
        """What was remembered since the last call; the caller writes it."""
        with self._lock:
            taken, self._progress = self._progress, {}
        return taken

    def put_back_progress(self, progress: lifecycle.Progress) -> None:
        """Undo `take_progress` after a write that failed; newer figures stay."""
        with self._lock:
            self._progress = {**progress, **self._progress}

    def interrupt(self, reason: Interrupt) -> None:
        """Ask the function to stop; called by the worker's pulse."""
        with self._lock:
            if self._interrupted_at is None:
                self._interrupted_at = time.monotonic()
            self._interrupt = reason if self._interrupt is None else max(self._interrupt, reason)

    def withdraw_pause(self) -> None:
        """Forget a pause, or a wish to yield, that was taken back before the function saw it."""
        with self._lock:
            if self._interrupt in (Interrupt.YIELD, Interrupt.PAUSE):
                self._interrupt = self._interrupted_at = None

    @property
    def reason(self) -> Interrupt | None:
        """Why the unit shall stop, if it shall."""
        return self._interrupt

    @property
    def interrupted_at(self) -> float | None:
        """When it was first asked to stop, by `time.monotonic()`."""
        return self._interrupted_at

    def interrupted(self) -> bool:
        """Whether the function shall stop soon: cancel, pause, the worker stops, or others have the unit now."""
        return self._interrupt is not None

    def check(self) -> None:
        """Stop here when asked to; call it between steps, at least once a second.

        Raises:
            UnitInterrupted: the unit shall stop.
        """
        if self._interrupt is not None:
            raise UnitInterrupted(self._interrupt)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A transaction that only the present attempt can make.

        Raises:
            SupersededError: the unit has moved on; let it pass, the runner drops the unit.
        """
        with self.database.transaction() as session:
            lifecycle.hold_unit(session, self.unit_id, self.attempt)
            yield session

    def mark_progressed(self, session: Session) -> None:
        """Say, in the transaction that adds it, that a resume point or a take was added: strikes are forgiven."""
        lifecycle.mark_progressed(session, self.unit_id, self.attempt)

    def log(self, message: str, level: str = "info") -> None:
        """Add a line to the job's log ("info", "warning", "error")."""
        with self.database.transaction() as session:
            log(session, self.job_id, message, level)

    def warn_once(self, message: str) -> None:
        """Add a warning to the job's log unless it is there already, of another unit or attempt of the job."""
        with self.database.transaction() as session:
            log_once(session, self.job_id, message, "warning")
