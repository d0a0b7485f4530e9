"""A worker whose light units do nothing: the real thing but for what a unit does."""

from __future__ import annotations

import sys

from core.models.jobs import JobKind
from worker.tasks import registry
from worker.unit_context import UnitContext

# The child process of the worker runs these lines again.
registry.FUNCTIONS[JobKind.IMPORT] = "benchmarks.idle_worker:do_nothing"


def do_nothing(context: UnitContext) -> None:
    """Be done."""


if __name__ == "__main__":
    from worker.__main__ import main

    sys.exit(main())
