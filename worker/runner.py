"""Running units, one after the other, until none waits. However a unit ends, its outcome reaches the database."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from core.artifacts import ArtifactStore
from core.errors import CadenzaError, SupersededError
from core.models.jobs import JobKind
from core.models.workers import WorkerState
from core.queue import lifecycle
from core.queue.claim import Claim, claim, settle_after_claim
from core.queue.recovery import lose
from core.queue.tallies import Outcome as Ending
from core.queue.tallies import Tallies
from core.queue.usage import record_gpu_use
from core.queue.yielding import yield_turn
from core.records.database import Database
from core.settings import Settings
from worker.presence import Presence
from worker.pulse import Pulse
from worker.retries import is_transient, persist
from worker.tasks.registry import FUNCTIONS, function_of
from worker.unit_context import Interrupt, UnitContext, UnitInterrupted

# Writes how a unit ended; gives the number of its job where that is still to be settled.
Outcome = Callable[[Session], int | None]
_logger = logging.getLogger(__name__)


class Runner:
    """Claims units for one worker and runs them in the calling thread."""

    def __init__(
        self,
        database: Database,
        store: ArtifactStore,
        settings: Settings,
        presence: Presence,
        pulse: Pulse,
        functions: Mapping[JobKind, str] = FUNCTIONS,
        tallies: Tallies | None = None,
        device: str = "CPU",
    ) -> None:
        self._database = database
        self._store = store
        self._settings = settings
        self._presence = presence
        self._pulse = pulse
        self._functions = functions
        self._tallies = tallies or Tallies()
        self._device = device

    def serve(self) -> int:
        """Run units until none waits or the worker stops; how many were run."""
        units = 0
        try:
            claimed = self._claim_next(idle=True)
            while claimed is not None:
                units += 1
                claimed = self._run(claimed)
        except SupersededError as error:
            # Another process runs under this worker's name: it has every right to, and this one takes nothing more.
            _logger.warning("%s", error)
            self._pulse.stopping.set()
        return units

    def _run(self, claimed: Claim) -> Claim | None:
        with bound_contextvars(job_id=claimed.job_id, unit_id=claimed.unit_id, attempt=claimed.attempt):
            return self._run_named(claimed)

    def _run_named(self, claimed: Claim) -> Claim | None:
        context = UnitContext(self._database, self._store, self._settings, claimed)
        self._pulse.attach(context)
        try:
            outcome = self._outcome_of(context)
            context.closing = True
            try:
                return persist(lambda: self._close(context, outcome))
            except SupersededError as error:
                _logger.warning("%s", error)
        finally:
            self._pulse.detach()
        return self._claim_next(idle=False)

    def _claim_next(self, idle: bool) -> Claim | None:
        def take() -> Claim | None:
            with self._database.exclusive() as session:
                return self._claim(session, idle)

        return persist(take, give_up=self._pulse.stopping.is_set)

    def _claim(self, session: Session, idle: bool, done: int = 0) -> Claim | None:
        """The next unit of the first of the worker's queues that has one; shows the worker as busy or ready.

        Args:
            session: a session of `Database.exclusive()`.
            idle: whether the worker is shown as ready already.
            done: units that it has ended in this transaction.
        """
        claimed = None
        if not self._pulse.stopping.is_set():
            claims = (claim(session, queue, self._presence.name) for queue in self._presence.queues)
            claimed = next((one for one in claims if one is not None), None)
        if claimed is not None:
            self._presence.show(session, WorkerState.BUSY, claimed.unit_id, done=done)
        elif not idle:
            state = WorkerState.STOPPING if self._pulse.stopping.is_set() else WorkerState.READY
            self._presence.show(session, state, done=done)
        return claimed

    def _close(self, context: UnitContext, outcome: Outcome | None) -> Claim | None:
        """Write how a unit ended and claim the next, in one transaction that may be repeated."""
        with context.saving:
            progress = context.take_progress()
        try:
            with self._database.exclusive() as session:
                if progress:
                    lifecycle.save_progress(session, context.unit_id, context.attempt, progress)
                if outcome is None:
                    return self._claim(session, idle=False)
                ended = outcome(session)
                record_gpu_use(session, context.claim, self._device, context.elapsed_seconds)
                claimed = self._claim(session, idle=False, done=1)
                if ended is not None:
                    settle_after_claim(session, ended, claimed)
                return claimed
        except DBAPIError:
            context.put_back_progress(progress)
            raise

    def _outcome_of(self, context: UnitContext) -> Outcome | None:
        """Run the unit's function; what shall be written about it, or None when it is no longer ours."""
        unit_id, attempt = context.unit_id, context.attempt
        kind, began = context.claim.kind, time.monotonic()

        def count(ending: Ending, reason: str = "") -> None:
            self._tallies.add(kind, ending, time.monotonic() - began, reason)

        try:
            function_of(context.claim.kind, self._functions)(context)
        except UnitInterrupted as interrupted:
            if interrupted.reason is Interrupt.SUPERSEDED:
                count(Ending.LOST, "superseded")
                return None
            count(Ending.GIVEN_BACK)
            if interrupted.reason is Interrupt.YIELD:
                return _settled(lambda session: yield_turn(session, unit_id, attempt))
            return _settled(lambda session: lifecycle.release(session, unit_id, attempt))
        except SupersededError as error:
            _logger.warning("%s", error)
            count(Ending.LOST, "superseded")
            return None
        except Exception as error:  # noqa: BLE001  # whatever a unit raises must end as its job's failure
            count(Ending.FAILED, type(error).__name__)
            return self._failure(context, error)
        count(Ending.DONE)
        return lambda session: lifecycle.finish_unsettled(session, unit_id, attempt)

    def _failure(self, context: UnitContext, error: Exception) -> Outcome:
        trace = "".join(traceback.format_exception(error))
        _logger.error("unit %d of job %d: %s", context.unit_id, context.job_id, trace)
        if is_transient(error):
            return _settled(lambda session: self._lose(session, context))
        sentence = _sentence_of(error)
        return _settled(lambda session: lifecycle.fail(session, context.unit_id, context.attempt, sentence, trace))

    def _lose(self, session: Session, context: UnitContext) -> None:
        job = lifecycle.lock_job_of(session, context.unit_id)
        lose(session, job, context.unit_id, context.attempt, self._settings.attempts_limit, count_gpu=False)


def _settled(write: Callable[[Session], object]) -> Outcome:
    """An outcome that gives the job its state, too."""

    def outcome(session: Session) -> None:
        write(session)

    return outcome


def _sentence_of(error: Exception) -> str:
    if isinstance(error, CadenzaError):
        return str(error)
    if isinstance(error, MemoryError):
        return "The worker ran out of memory. Try smaller settings or a machine with more memory, then retry."
    return (
        f"Something went wrong that Cadenza did not expect ({type(error).__name__}: {error}). "
        "The traceback says where; retry, and report it if it comes back."
    )
