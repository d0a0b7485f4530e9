"""`python -m benchmarks`: run the programs one after the other and renew the table of results.

Rows that are not measured this time stay as they were if they come from the same machine, and are dropped otherwise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness import Row
from benchmarks.machine import OthersWatch, describe_machine
from benchmarks.stages import PROGRAMS
from benchmarks.table import to_markdown

# Below this share of the machine other programs are taken for its usual background.
_QUIET_SHARE = 0.05
_ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Measure, print the table, write it as Markdown and JSON; the number of programs that failed."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--only", default="", help="run the programs with this word in their names only")
    parser.add_argument("--data", default="", help="folder with the MAESTRO zip")
    parser.add_argument("--repeats", type=int, default=0, help="measured runs of each side, instead of each program's")
    parser.add_argument("--results", type=Path, default=_ROOT, help="folder of RESULTS.md and results.json")
    options = parser.parse_args()
    chosen = [name for name in PROGRAMS if options.only in name]
    if not chosen:
        parser.error(f"no program is named like {options.only!r}; there are {', '.join(PROGRAMS)}")
    machine = describe_machine()
    kept = _read(options.results / "results.json", machine)
    failed = []
    began = time.monotonic()
    for number, name in enumerate(chosen, start=1):
        print(f"[{number}/{len(chosen)}] {name}", file=sys.stderr, flush=True)
        started, others = time.monotonic(), OthersWatch()
        rows = _run(name, options)
        if rows is None:
            failed.append(name)
            continue
        print(f"[{number}/{len(chosen)}] {name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        date = datetime.now(UTC).date().isoformat()
        kept = [entry for entry in kept if entry["program"] != name]
        kept += [{"program": name, "date": date, "row": _noted(row, others.share())} for row in rows]
        _write(options.results, machine, kept)
    print(to_markdown(machine, [(entry["date"], Row(**entry["row"])) for entry in kept]))
    print(f"{(time.monotonic() - began) / 60:.0f} minutes in all", file=sys.stderr)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


def _run(name: str, options: argparse.Namespace) -> list[dict[str, Any]] | None:
    """Each program has a process of its own, so that none inherits another's threads, memory or compiled code."""
    with tempfile.TemporaryDirectory(prefix="cadenza-bench-") as folder:
        rows = Path(folder) / "rows.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--rows", str(rows)]
        command += ["--data", options.data] if options.data else []
        command += ["--repeats", str(options.repeats)] if options.repeats else []
        ended = subprocess.run(command, cwd=_ROOT.parent, check=False)
        if ended.returncode or not rows.exists():
            return None
        found: list[dict[str, Any]] = json.loads(rows.read_text())
        return found


def _noted(row: dict[str, Any], others: float | None) -> dict[str, Any]:
    """With a warning where other programs took a good part of the machine meanwhile."""
    if others is not None and others > _QUIET_SHARE:
        row["notes"].append(
            f"OTHER PROGRAMS USED {others:.0%} OF THE MACHINE MEANWHILE: measure again when it is quiet"
        )
    return row


def _read(path: Path, machine: str) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    content = json.loads(path.read_text())
    entries: list[dict[str, Any]] = content["entries"] if content["machine"] == machine else []
    return entries


def _write(folder: Path, machine: str, entries: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    order = list(PROGRAMS)
    entries.sort(key=lambda entry: order.index(entry["program"]))
    texts = {
        "results.json": json.dumps({"machine": machine, "entries": entries}, indent=1, ensure_ascii=False) + "\n",
        "RESULTS.md": to_markdown(machine, [(entry["date"], Row(**entry["row"])) for entry in entries]),
    }
    for name, text in texts.items():
        aside = folder / f"{name}.part"
        aside.write_text(text)
        aside.replace(folder / name)


if __name__ == "__main__":
    sys.exit(main())
