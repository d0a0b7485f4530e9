"""Going on when the database is away or busy for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 3.0
_logger = logging.getLogger(__name__)


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later: a lost connection, a locked or full database, a deadlock."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def persist(work: Callable[[], T], give_up: Callable[[], bool] = lambda: False) -> T:
    """Do `work`, again and again with growing pauses while the database is away.

    Args:
        work: whole transactions that may be repeated.
        give_up: asked after each failure; the error is raised when it says so.

    Raises:
        DBAPIError: a lasting failure, or a transient one after `give_up`.
    """
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return work()
        except DBAPIError as error:
            if not is_transient(error) or give_up():
                raise
            _logger.warning("the database does not answer (%s); trying again in %.1f s", error.orig, pause)
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
