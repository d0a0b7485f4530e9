"""Watches trainings from the side, to say how much work each death has cost."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from core.models.jobs import Job, Unit, UnitState
from core.models.trainings import Training
from core.records.database import Database

_LOOK_SECONDS = 0.25


@dataclass(slots=True)
class _Seen:
    attempt: tuple[int, int]
    resume_step: int
    resume_at: float
    step: float
    step_at: float


@dataclass(frozen=True, slots=True)
class Loss:
    """One training that was put back: from which step to which resume point, and how much time that had taken."""

    training: int
    from_step: int
    to_step: int
    seconds: float


@dataclass(slots=True)
class TrainingWatch:
    """Looks at the rows of running trainings, over a connection of its own that no fault touches."""

    database: Database
    losses: list[Loss] = field(default_factory=list)
    backwards: list[str] = field(default_factory=list)
    _seen: dict[int, _Seen] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until `end`."""
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                self.look()
            except DBAPIError:
                continue  # the database is being killed

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def look(self) -> None:
        """Compare what is there with what was there a moment ago."""
        statement = (
            select(Training.id, Training.resume_step, Training.resume_key, Job.progress_done, Unit.id, Unit.attempt)
            .join(Job, Training.job_id == Job.id)
            .join(Unit, Unit.job_id == Job.id)
            .where(Unit.state == UnitState.RUNNING)
        )
        with self.database.reading() as session:
            rows = session.execute(statement).all()
        now = time.monotonic()
        for number, resume_step, resume_key, step, unit, attempt in rows:
            before = self._seen.get(number)
            if before is None:
                self._seen[number] = _Seen((unit, attempt), resume_step, now, step, now)
                continue
            if resume_key and resume_step < before.resume_step:
                self.backwards.append(f"training {number}: resume point {before.resume_step} → {resume_step}")
            if (unit, attempt) != before.attempt:
                if before.step > resume_step:
                    seconds = before.step_at - before.resume_at
                    self.losses.append(Loss(number, int(before.step), resume_step, round(max(seconds, 0.0), 1)))
                before.attempt = (unit, attempt)
                before.resume_at = before.step_at = now
                before.step = float(resume_step)
            if resume_step > before.resume_step:
                before.resume_step, before.resume_at = resume_step, now
            if step > before.step:
                before.step, before.step_at = step, now
