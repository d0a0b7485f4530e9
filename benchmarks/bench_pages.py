"""Pages over a database with 100,000 jobs and 1,000,000 takes, at 30 requests a second."""

from __future__ import annotations

import time

from benchmarks import stages
from benchmarks.harness import Options, Row, run_program, say
from benchmarks.installation import installation
from benchmarks.many_rows import fill
from benchmarks.web_server import latencies, p95, web_server

_JOBS = 100_000
_JOBS_OF_A_PAGE = 30
_PATHS = {
    "/": "overview",
    "/jobs": "jobs, first page",
    f"/jobs?page={_JOBS // _JOBS_OF_A_PAGE}": "jobs, last page",
    "/jobs?state=failed": "jobs that failed",
    "/jobs?state=active": "jobs that are open",
    "/generations/1": "a generation of 10,000 takes",
    "/generations/1?sort=polyphony&order=desc&page=100": "its takes by polyphony, page 100",
    "/generations/1?show=sound": "its takes without defect",
}
_RATE, _SECONDS = 30.0, 15.0
_GOAL_SECONDS = 0.06


def main() -> None:
    """Run it."""
    run_program(measure, repeats=2)


def measure(options: Options) -> list[Row]:
    """One row: the 95th of 100 requests over all pages."""
    with installation(broker=True) as place:
        started = time.perf_counter()
        takes = fill(place.database, _JOBS)
        say(f"{_JOBS:,} jobs and {takes:,} takes written in {time.perf_counter() - started:.0f} s")
        found: dict[str, list[float]] = {path: [] for path in _PATHS}
        with web_server(place) as server:
            latencies(server, list(_PATHS), _RATE, 3.0)
            for _ in range(options.repeats):
                for path, seconds in latencies(server, list(_PATHS), _RATE, _SECONDS).items():
                    found[path] += seconds
    every = sorted(second for seconds in found.values() for second in seconds)
    for path, seconds in found.items():
        say(f"{_PATHS[path]}: p95 {p95(seconds) * 1000:.1f} ms")
    return [
        Row(
            stages.PAGES, "ms", p95(every) * 1000, lower_is_better=True,
            goal=f"p95 ≤ {_GOAL_SECONDS * 1000:.0f} ms", met=p95(every) <= _GOAL_SECONDS,
            notes=[
                f"p95 of {len(every):,} requests, {_RATE:.0f} a second",
                f"their median {every[len(every) // 2] * 1000:.1f} ms",
                *(f"{_PATHS[path]} {p95(seconds) * 1000:.1f} ms" for path, seconds in found.items()),
                "on SQLite, client and server on this machine",
            ],
        )
    ]  # fmt: skip


if __name__ == "__main__":
    main()
