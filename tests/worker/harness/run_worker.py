"""A real worker whose light jobs run the functions beside this file. The child process runs these lines again."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.models import base

if "TEST_CLOCK_SKEW_SECONDS" in os.environ:
    # A host whose clock is wrong; before anything else has taken the right one from this module.
    base.utc_now = lambda: datetime.now(UTC) + timedelta(seconds=float(os.environ["TEST_CLOCK_SKEW_SECONDS"]))

from core.models.jobs import JobKind
from worker.tasks import registry

sys.path.insert(0, str(Path(__file__).parent))
registry.FUNCTIONS.update({JobKind.IMPORT: "unit_functions:run", JobKind.AUDIO: "unit_functions:run"})
if "TEST_BROKEN_TASKS" in os.environ:
    registry.FUNCTIONS[JobKind.AUDIO] = "no_such_module:run"

if __name__ == "__main__":
    from worker.__main__ import main

    sys.exit(main(program=[sys.executable, __file__]))
