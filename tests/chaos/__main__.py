"""`python -m tests.chaos`: kill everything at random under load, and see whether anything was lost or doubled.

    python -m tests.chaos [--database both] [--minutes 25] [--kills 280] [--seed 0] [--folder var/chaos]

The same seed makes the same schedule. The report is printed and written beside the ledger of each run.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tests.chaos.report import faults_of, text_of
from tests.chaos.run import Plan, run


def main() -> int:
    """Run, report, and say with the exit status whether the system has survived."""
    parser = argparse.ArgumentParser(description="Kill everything at random under load; nothing may be lost.")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--minutes", type=float, default=25, help="of faults, on each database")
    parser.add_argument("--kills", type=int, default=280, help="on each database")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--folder", type=Path, default=Path("var/chaos"))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # everything that was started ends with it
    options.folder.mkdir(parents=True, exist_ok=True)
    survived = True
    for database in ["sqlite", "postgresql"] if options.database == "both" else [options.database]:
        plan = Plan(database, 60 * options.minutes, options.kills, options.seed, options.users)
        outcome = run(plan, options.folder)
        text = text_of(outcome)
        print(text, flush=True)
        (options.folder / f"report-{database}-{options.seed}.txt").write_text(text)
        survived = survived and not faults_of(outcome)
    return 0 if survived else 1


if __name__ == "__main__":
    sys.exit(main())
