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
from benchmarks.stages import BY_NAME_ONLY, PROGRAMS
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
    known = [*PROGRAMS, *BY_NAME_ONLY]
    chosen = [name for name in known if options.only in name] if options.only else list(PROGRAMS)
    if not chosen:
        parser.error(f"no program is named like {options.only!r}; there are {', '.join(known)}")
    results = _read(options.results / "results.json", describe_machine())
    failed = []
    began = time.monotonic()
    for number, name in enumerate(chosen, start=1):
        print(f"[{number}/{len(chosen)}] {name}", file=sys.stderr, flush=True)
        started, others = time.monotonic(), OthersWatch()
        found = _run(name, options)
        if found is None:
            failed.append(name)
            continue
        print(f"[{number}/{len(chosen)}] {name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        _add(results, name, found, others.share())
        _write(options.results, results)
    print(_page(results))
    print(f"{(time.monotonic() - began) / 60:.0f} minutes in all", file=sys.stderr)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


def _run(name: str, options: argparse.Namespace) -> Any:
    """Each program has a process of its own, so that none inherits another's threads, memory or compiled code."""
    with tempfile.TemporaryDirectory(prefix="cadenza-bench-") as folder:
        rows = Path(folder) / "rows.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--rows", str(rows)]
        if name in PROGRAMS:
            command += ["--data", options.data] if options.data else []
            command += ["--repeats", str(options.repeats)] if options.repeats else []
        ended = subprocess.run(command, cwd=_ROOT.parent, check=False)
        if ended.returncode or not rows.exists():
            return None
        return json.loads(rows.read_text())


def _add(results: dict[str, Any], name: str, found: Any, others: float | None) -> None:
    """Put what a program found in place of what it found before."""
    date = datetime.now(UTC).date().isoformat()
    if name in BY_NAME_ONLY:
        results["families"] = {**found, "date": date, "warning": _warning(others)}
        return
    kept = [entry for entry in results["entries"] if entry["program"] != name]
    kept += [{"program": name, "date": date, "row": _noted(row, others)} for row in found]
    results["entries"] = sorted(kept, key=lambda entry: list(PROGRAMS).index(entry["program"]))


def _noted(row: dict[str, Any], others: float | None) -> dict[str, Any]:
    if warning := _warning(others):
        row["notes"].append(warning)
    return row


def _warning(others: float | None) -> str:
    """What is said where other programs took a good part of the machine meanwhile."""
    if others is None or others <= _QUIET_SHARE:
        return ""
    return f"OTHER PROGRAMS USED {others:.0%} OF THE MACHINE MEANWHILE: measure again when it is quiet"


def _read(path: Path, machine: str) -> dict[str, Any]:
    """`machine`, its `entries`, one for each row, and the table of its `families`."""
    content = json.loads(path.read_text()) if path.exists() else {}
    if content.get("machine") != machine:
        content = {}
    return {"machine": machine, "entries": content.get("entries", []), "families": content.get("families")}


def _page(results: dict[str, Any]) -> str:
    rows = [(entry["date"], Row(**entry["row"])) for entry in results["entries"]]
    return to_markdown(results["machine"], rows, results["families"])


def _write(folder: Path, results: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "results.json": json.dumps(results, indent=1, ensure_ascii=False) + "\n",
        "RESULTS.md": _page(results),
    }
    for name, text in texts.items():
        aside = folder / f"{name}.part"
        aside.write_text(text)
        aside.replace(folder / name)


if __name__ == "__main__":
    sys.exit(main())
