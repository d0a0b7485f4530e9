"""A worker's own row: how others see that it is there, what it serves, and what it runs."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field

from sqlalchemy import case, update
from sqlalchemy.orm import Session

import core
from core.errors import SupersededError
from core.models.base import utc_now
from core.models.jobs import Queue
from core.models.workers import Worker, WorkerState
from core.records.database import announce


@dataclass(frozen=True, slots=True)
class Presence:
    """One incarnation of a worker: its name stays, its process changes with every start."""

    name: str
    queues: tuple[Queue, ...]
    pid: int = field(default_factory=os.getpid)

    def register(self, session: Session) -> None:
        """Take over the row of this name: starting, with nothing in hand."""
        row = session.get(Worker, self.name)
        if row is None:
            row = Worker(name=self.name)
            session.add(row)
        row.host = socket.gethostname()
        row.pid = self.pid
        row.queues = [queue.value for queue in self.queues]
        row.version = core.__version__
        row.state = WorkerState.STARTING
        row.stop_requested = False
        row.unit_id = None
        row.beat = (row.beat or 0) + 1
        row.started_at = row.seen_at = utc_now()
        announce(session, "workers")

    def show(self, session: Session, state: WorkerState, unit_id: int | None = None, device: str = "") -> None:
        """Show a new state.

        Raises:
            SupersededError: another process has taken this name.
        """
        values = {"device": device} if device else {}
        self._write(session, {"state": state, "unit_id": unit_id, **values})
        announce(session, "workers")

    def count_done(self, session: Session) -> None:
        """Count one more unit that this worker ran.

        Raises:
            SupersededError: another process has taken this name.
        """
        self._write(session, {"units_done": Worker.units_done + 1})

    def beat(self, session: Session, state: WorkerState) -> bool:
        """Show that the worker is alive; whether it was asked to stop through its row.

        Args:
            session: a session of `Database.transaction()`.
            state: what to show again should the worker have been taken for gone.

        Raises:
            SupersededError: another process has taken this name.
        """
        back = case((Worker.state == WorkerState.GONE, state), else_=Worker.state)
        return self._write(session, {"state": back})

    def _write(self, session: Session, values: dict[str, object]) -> bool:
        row = session.execute(
            update(Worker)
            .where(Worker.name == self.name, Worker.pid == self.pid)
            .values(beat=Worker.beat + 1, seen_at=utc_now(), **values)
            .returning(Worker.stop_requested)
            .execution_options(synchronize_session=False)
        ).first()
        if row is None:
            raise SupersededError(f"Another process now runs as the worker {self.name!r}.")
        return bool(row.stop_requested)
