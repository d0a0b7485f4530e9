"""How long `cadenza up` takes to its first page, and until all workers have loaded."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from benchmarks import stages
from benchmarks.harness import Options, Row, run_program, say

_GOAL_PAGE_SECONDS = 3.0
_GOAL_READY_SECONDS = 20.0
_PATIENCE_SECONDS = 300.0
_READY = "All parts are ready"


def main() -> None:
    """Run it."""
    run_program(measure, repeats=3)


def measure(options: Options) -> list[Row]:
    """Starts on an empty folder and, after that, on the same one again; the rows are about all of them."""
    pages: list[float] = []
    ready: list[float] = []
    folder = Path(tempfile.mkdtemp(prefix="cadenza-bench-"))
    try:
        for repeat in range(options.repeats):
            page, loaded = _start_once(folder / "data")
            say(f"start {repeat + 1} of {options.repeats}: page after {page:.2f} s, workers after {loaded:.2f} s")
            pages.append(page)
            ready.append(loaded)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    kinds = "the first on an empty folder, which makes the tables; the others on the data that it left"
    return [
        Row(
            stage, "s", statistics.median(seconds), lower_is_better=True,
            goal=f"≤ {goal:.0f} s", met=statistics.median(seconds) <= goal,
            notes=[f"{', '.join(f'{one:.2f}' for one in seconds)} s", kinds, what],
        )
        for stage, seconds, goal, what in (
            (stages.START_PAGE, pages, _GOAL_PAGE_SECONDS, "from the command to the whole of an answered page"),
            (stages.START_READY, ready, _GOAL_READY_SECONDS, "three workers, two of which load Keras"),
        )
    ]  # fmt: skip


def _start_once(data: Path) -> tuple[float, float]:
    """Seconds from the command to the first page, and to the line that says that all parts are ready."""
    address = data / "run" / "address"
    with suppress(FileNotFoundError):
        address.unlink()
    environment = {**os.environ, "CADENZA_DATA_DIR": str(data), "CADENZA_PORT": "0", "PYTHONUNBUFFERED": "1"}
    log = data.with_suffix(".log")
    started = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "webui.cli", "up"], env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        page = 0.0
        while _READY not in log.read_text():
            if not page and _answers(address):
                page = time.perf_counter() - started
            if process.poll() is not None or time.perf_counter() - started > _PATIENCE_SECONDS:
                raise RuntimeError(f"the system did not start; it said:\n{log.read_text()}")
            time.sleep(0.01 if not page else 0.05)
        return page, time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _answers(address: Path) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address.read_text(), timeout=10) as answer:
            return answer.status == 200 and bool(answer.read())
    except OSError:
        return False


if __name__ == "__main__":
    main()
