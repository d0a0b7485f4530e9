"""Units that end and begin as a worker does it, without the worker."""

from __future__ import annotations

from sqlalchemy.orm import Session

from core.models.jobs import Queue
from core.queue.claim import Claim, claim, settle_after_claim
from core.queue.lifecycle import finish_unsettled


def finish_and_claim(session: Session, done: Claim, queue: Queue, worker: str) -> Claim | None:
    """End a unit well and take the next one in the same transaction of `Database.exclusive()`.

    Raises:
        SupersededError: the finished unit has moved on; nothing is claimed.
    """
    ended = finish_unsettled(session, done.unit_id, done.attempt)
    claimed = claim(session, queue, worker)
    settle_after_claim(session, ended, claimed)
    return claimed
