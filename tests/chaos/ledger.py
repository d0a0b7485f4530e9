"""What the users of a chaos run asked for and what they were told, kept apart from the system that is tested."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ACCEPTED, UNKNOWN, REFUSED = "accepted", "unknown", "refused"


@dataclass(slots=True)
class Request:
    """One thing that a user asked for.

    Attributes:
        label: a name that nothing else has, by which it is found again when its answer was lost.
        told: "accepted", "refused", or "unknown" when no answer came.
        subject_id: the generation, training, dataset or take.
        job_id: its job; of a request that was tried again, the newest that is known.
        ending: what the user asked for later, such as "cancel"; asking counts, whatever was answered.
    """

    label: str
    kind: str
    values: dict[str, Any]
    told: str = UNKNOWN
    subject_id: int = 0
    job_id: int = 0
    at: float = field(default_factory=time.time)
    ending: str = ""


class Ledger:
    """All requests, in memory and as lines of a file."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("a")
        self._lock = threading.Lock()
        self._requests: dict[str, Request] = {}
        self.other: Counter[str] = Counter()

    def write(self, request: Request) -> None:
        """Remember a request, or what became known of it."""
        with self._lock:
            self._requests[request.label] = request
            self._stream.write(json.dumps(asdict(request)) + "\n")
            self._stream.flush()

    def count(self, what: str) -> None:
        """Count something else that happened, such as a page that was read."""
        with self._lock:
            self.other[what] += 1

    def __iter__(self) -> Iterator[Request]:
        with self._lock:
            found = list(self._requests.values())
        return iter(found)

    def of(self, kind: str) -> list[Request]:
        """The requests of a kind."""
        return [request for request in self if request.kind == kind]

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
