"""A real worker whose light jobs run the functions beside this file. The child process runs these lines again."""

import sys
from pathlib import Path

from core.models.jobs import JobKind
from worker.tasks import registry

sys.path.insert(0, str(Path(__file__).parent))
registry.FUNCTIONS.update({JobKind.IMPORT: "unit_functions:run", JobKind.AUDIO: "unit_functions:run"})

if __name__ == "__main__":
    from worker.__main__ import main

    sys.exit(main())
