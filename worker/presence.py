"""A worker's own row: how others see that it is there, what it serves, and what it runs."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field

from sqlalchemy import bindparam, case, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

import core
from core.errors import SupersededError
from core.models.base import Base, utc_now
from core.models.jobs import Queue
from core.models.workers import Worker, WorkerState
from core.records.database import announce

# Built once and on the table itself, since they run with every unit and every beat.
_WRITE = (
    update(Base.metadata.tables[Worker.__tablename__])
    .where(Worker.name == bindparam("of_name"), Worker.pid == bindparam("of_pid"))
    .values(beat=Worker.beat + 1, seen_at=bindparam("now"))
)
_NEW_STATE = bindparam("new_state", type_=Worker.state.type)
_NEW_DEVICE = bindparam("new_device", type_=Worker.device.type)
_SHOW = _WRITE.values(
    state=_NEW_STATE,
    unit_id=bindparam("new_unit_id"),
    device=case((_NEW_DEVICE != "", _NEW_DEVICE), else_=Worker.device),
    units_done=Worker.units_done + bindparam("more_done"),
).returning(Worker.stop_requested)
_BEAT = _WRITE.values(state=case((Worker.state == WorkerState.GONE, _NEW_STATE), else_=Worker.state)).returning(
    Worker.stop_requested
)

_LONGEST_PROBLEM = 1000


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

    def show(
        self, session: Session, state: WorkerState, unit_id: int | None = None, device: str = "", done: int = 0
    ) -> None:
        """Show a new state.

        Args:
            session: a session of `Database.transaction()`.
            state: the new state.
            unit_id: the unit that it runs from now on.
            device: what it computes on; as before when empty.
            done: how many more units it has run.

        Raises:
            SupersededError: another process has taken this name.
        """
        self._write(session, _SHOW, new_state=state, new_unit_id=unit_id, new_device=device, more_done=done)
        announce(session, "workers")

    def tell_problem(self, session: Session, problem: str) -> None:
        """Show why this worker cannot serve; an empty text when it can."""
        session.execute(
            update(Worker)
            .where(Worker.name == self.name, Worker.pid == self.pid)
            .values(problem=problem[:_LONGEST_PROBLEM])
            .execution_options(synchronize_session=False)
        )
        announce(session, "workers")

    def beat(self, session: Session, state: WorkerState) -> bool:
        """Show that the worker is alive; whether it was asked to stop through its row.

        Args:
            session: a session of `Database.transaction()`.
            state: what to show again should the worker have been taken for gone.

        Raises:
            SupersededError: another process has taken this name.
        """
        return self._write(session, _BEAT, new_state=state)

    def _write(self, session: Session, statement: ReturningUpdate[bool], **values: object) -> bool:
        values |= {"of_name": self.name, "of_pid": self.pid, "now": utc_now()}
        row = session.connection().execute(statement, values).first()
        if row is None:
            raise SupersededError(f"Another process now runs as the worker {self.name!r}.")
        return bool(row.stop_requested)
