"""A job's log, bounded."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.models.jobs import JobLog
from core.records.database import announce

LINES_LIMIT = 5000
_LONGEST_MESSAGE = 4000


def log_once(session: Session, job_id: int, message: str, level: str = "info") -> None:
    """Add a line to a job's log unless it is there already; of several workers at once each may add it."""
    there = select(JobLog.id).where(JobLog.job_id == job_id, JobLog.message == message).limit(1)
    if session.scalar(there) is None:
        log(session, job_id, message, level)


def log(session: Session, job_id: int, message: str, level: str = "info") -> None:
    """Add a line to a job's log; the oldest lines go when there are more than `LINES_LIMIT`."""
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 1] + "…"
    session.add(JobLog(job_id=job_id, message=message, level=level))
    session.flush()
    first_too_old = session.scalar(
        select(JobLog.id).where(JobLog.job_id == job_id).order_by(JobLog.id.desc()).offset(LINES_LIMIT).limit(1)
    )
    if first_too_old is not None:
        session.execute(
            delete(JobLog)
            .where(JobLog.job_id == job_id, JobLog.id <= first_too_old)
            .execution_options(synchronize_session=False)
        )
    announce(session, f"job:{job_id}")
