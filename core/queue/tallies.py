"""Counting what becomes of units, for the metrics: in memory first, and into the database with a worker's next beat.

A count a second late is good enough for a chart, and costs no statement in the path of a unit.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from enum import StrEnum
from math import inf

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.models.jobs import JobKind

# Upper ends of the ranges of durations, s: from a take on a GPU to a training of a day. The last one has no end.
BUCKETS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0, 4 * 3600.0, 24 * 3600.0, inf)
# No database's number for "no end" is another's.
_NO_END = -1.0
_UPSERT = text(
    """
    INSERT INTO unit_tally (kind, outcome, reason, bucket, count, seconds)
    VALUES (:kind, :outcome, :reason, :bucket, :count, :seconds)
    ON CONFLICT (kind, outcome, reason, bucket)
    DO UPDATE SET count = unit_tally.count + excluded.count, seconds = unit_tally.seconds + excluded.seconds
    """
)
_Key = tuple[str, str, str, float]
# By kind, outcome, reason and upper end of the range of durations: how many, and their seconds together.
Counts = dict[_Key, list[float]]


class Outcome(StrEnum):
    """How an attempt at a unit ended."""

    DONE = "done"
    FAILED = "failed"
    GIVEN_BACK = "given_back"
    LOST = "lost"


class Tallies:
    """Counts of one process that the database does not have yet. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[_Key, list[float]] = defaultdict(_nothing)
        self._busy_seconds = 0.0

    def add(self, kind: JobKind, outcome: Outcome, seconds: float, reason: str = "") -> None:
        """Count one attempt that took `seconds`; `reason` is a word, such as the class of the error."""
        bucket = BUCKETS[bisect_left(BUCKETS, max(seconds, 0.0))]
        with self._lock:
            count = self._counts[kind.value, outcome.value, reason, _NO_END if bucket == inf else bucket]
            count[0] += 1
            count[1] += max(seconds, 0.0)
            self._busy_seconds += max(seconds, 0.0)

    def take(self) -> tuple[float, Counts]:
        """The time spent and what was counted since the last call; the caller stores it, or puts it back."""
        with self._lock:
            counts, self._counts = self._counts, defaultdict(_nothing)
            busy_seconds, self._busy_seconds = self._busy_seconds, 0.0
        return busy_seconds, dict(counts)

    def put_back(self, busy_seconds: float, counts: Counts) -> None:
        """Undo `take` after a write that failed."""
        with self._lock:
            self._busy_seconds += busy_seconds
            for key, (count, seconds) in counts.items():
                self._counts[key][0] += count
                self._counts[key][1] += seconds


def store_tallies(session: Session, counts: Counts) -> None:
    """Add counts to the table; last in their transaction, since every worker writes the same few rows."""
    # In one order for all processes, so that two who store at once cannot wait for each other.
    rows = [
        {"kind": kind, "outcome": outcome, "reason": reason, "bucket": bucket, "count": count, "seconds": seconds}
        for (kind, outcome, reason, bucket), (count, seconds) in sorted(counts.items())
    ]
    if rows:
        session.execute(_UPSERT, rows)


def _nothing() -> list[float]:
    return [0, 0.0]


def upper_end(bucket: float) -> float:
    """A stored bucket's upper end, s."""
    return inf if bucket == _NO_END else bucket
