"""What every benchmark shares: interleaved measuring, rows of the table, and a program's command line."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.music import DATA_VARIABLE, Music, find_music


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run of a side did: `work` in the row's unit, and how long it took where the side timed itself."""

    work: float
    seconds: float


Side = Callable[[], float | Sample]


@dataclass(frozen=True, slots=True)
class Timing:
    """The measured runs of one side.

    Attributes:
        rates: work per second of each repeat.
        first_seconds: the run before them, which loads and compiles and does not count; 0 without one.
    """

    rates: tuple[float, ...]
    first_seconds: float

    @property
    def rate(self) -> float:
        """Median work per second."""
        return statistics.median(self.rates)

    @property
    def spread(self) -> str:
        """The slowest and fastest repeat."""
        return f"{min(self.rates):,.4g} to {max(self.rates):,.4g} in {len(self.rates)} repeats"


@dataclass(slots=True)
class Row:
    """One line of the table.

    Attributes:
        stage: what was measured; `peer`: what ours is compared with, empty without a peer.
        unit: of `ours`, `peer_value` and `limit`.
        lower_is_better: for seconds, where the others are rates.
        limit: what the hardware would allow, by `limit_name`.
        goal: in words, `met`: whether it was reached; None where nothing can be said.
        notes: warm-up, spread, samples.
    """

    stage: str
    unit: str
    ours: float
    peer: str = ""
    peer_value: float | None = None
    lower_is_better: bool = False
    limit: float | None = None
    limit_name: str = ""
    goal: str = ""
    met: bool | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer."""
        if not self.peer_value:
            return None
        return self.peer_value / self.ours if self.lower_is_better else self.ours / self.peer_value

    @property
    def share(self) -> float | None:
        """The reached share of the physical limit."""
        if not self.limit:
            return None
        return self.limit / self.ours if self.lower_is_better else self.ours / self.limit


@dataclass(frozen=True, slots=True)
class Options:
    """How a program shall measure."""

    repeats: int
    music: Music


def interleave(sides: Mapping[str, Side], repeats: int, *, warm_up: bool = True) -> dict[str, Timing]:
    """Run the sides in turns, `repeats` times each, so that whatever else the machine does hits all alike.

    Args:
        sides: name to function; it gives the work it did, or a `Sample` where it timed itself.
        repeats: measured runs of each.
        warm_up: run each once before, unmeasured.
    """
    first = dict.fromkeys(sides, 0.0)
    if warm_up:
        for name, side in sides.items():
            say(f"{name}: warming up")
            first[name] = _run(side).seconds
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats):
        for name, side in sides.items():
            sample = _run(side)
            rates[name].append(sample.work / sample.seconds)
            say(f"{name}: run {repeat + 1} of {repeats}, {rates[name][-1]:,.4g} a second")
    return {name: Timing(tuple(rates[name]), first[name]) for name in sides}


def timing_notes(timings: Mapping[str, Timing]) -> list[str]:
    """The spread of each side, and its warm-up."""
    return [
        f"{name}: {timing.spread}" + (f"; first run {timing.first_seconds:.3g} s" if timing.first_seconds else "")
        for name, timing in timings.items()
    ]


def missing_peer(stage: str, unit: str, timing: Timing, peer: str) -> Row:
    """The row of a peer that is not here."""
    say(f"{peer} is not installed; its row stays without it")
    return Row(stage, unit, timing.rate, peer=f"{peer} (peer not installed)", notes=timing_notes({"ours": timing}))


def use_one_core() -> None:
    """Keep this process and what it starts on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def say(text: str) -> None:
    """One line of progress."""
    print(f"  {text}", file=sys.stderr, flush=True)


def run_program(measure: Callable[[Options], list[Row]], repeats: int) -> None:
    """A benchmark's `main`: measure, print each row, and write them as JSON where `--rows` says.

    Args:
        measure: gives the rows.
        repeats: measured runs of each side unless `--repeats` says otherwise.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=Path, help="write the rows here, as JSON")
    parser.add_argument("--repeats", type=int, default=repeats, help="measured runs of each side")
    parser.add_argument("--data", help="folder with the MAESTRO zip; by default CADENZA_BENCH_DATA or ../shared/data")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[DATA_VARIABLE] = arguments.data  # peers in processes of their own look there too
    music = find_music()
    say(f"music: {music.name}")
    rows = measure(Options(arguments.repeats, music))
    for row in rows:
        ratio = f", {row.ratio:,.3g} × {row.peer}" if row.ratio else f", {row.peer}" if row.peer else ""
        print(f"{row.stage}: {row.ours:,.4g} {row.unit}{ratio}")
    if arguments.rows:
        arguments.rows.write_text(json.dumps([asdict(row) for row in rows]))


def _run(side: Side) -> Sample:
    started = time.perf_counter()
    result = side()
    seconds = time.perf_counter() - started
    return result if isinstance(result, Sample) else Sample(result, seconds)
