"""Importing a zip: ours from the stored upload to rows, against pretty_midi reading the same files and nothing more."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pretty_midi

from benchmarks import stages
from benchmarks.harness import Options, Row, Sample, interleave, run_program, say, timing_notes

_PEER_FILES = 40
_COUNTS = (100, 1_000, 10_000)
_GOAL_RATIO = 17
_GOAL_SECONDS = 15
_GOAL_MEMORY_BYTES = 700_000_000
_TEMPO = b"\xff\x51\x03"


def main() -> None:
    """Run it."""
    run_program(measure, repeats=3)


def measure(options: Options) -> list[Row]:
    """Speed, memory and growth."""
    files = options.music.files()
    sampled = options.music.files(_PEER_FILES)
    memory: list[float] = []
    with tempfile.TemporaryDirectory(prefix="cadenza-bench-") as folder:
        path = Path(folder) / "all.zip"
        path.write_bytes(options.music.zip_bytes)

        def ours() -> Sample:
            figures = _import(path)
            memory.append(figures["memory_bytes"])
            return Sample(len(files), figures["seconds"])

        def peer() -> float:
            for data in sampled:
                pretty_midi.PrettyMIDI(io.BytesIO(data))
            return len(sampled)

        timings = interleave({"ours": ours, "pretty_midi": peer}, options.repeats, warm_up=False)
        sizes = {}
        for count in _COUNTS:
            grown = Path(folder) / f"{count}.zip"
            _write_zip(grown, files, count)
            sizes[count] = _import(grown)
            say(f"{count:,} files: {sizes[count]['seconds']:.1f} s, {sizes[count]['memory_bytes'] / 1e6:.0f} MB")
            grown.unlink()
    rate = timings["ours"].rate
    speed = Row(
        stages.IMPORT, "files/s", rate, "pretty_midi reading alone, one core", timings["pretty_midi"].rate,
        goal=f"≥ {_GOAL_RATIO} ×",
        notes=[*timing_notes(timings), f"{options.music.name}; the peer reads {_PEER_FILES} of them"],
    )  # fmt: skip
    speed.met = (speed.ratio or 0) >= _GOAL_RATIO
    seconds = len(files) / rate
    grown_ratio = (sizes[10_000]["seconds"] / 10_000) / (sizes[1_000]["seconds"] / 1_000)
    growth = "; ".join(
        f"{count:,} files: {figures['seconds']:.2f} s, {figures['memory_bytes'] / 1e6:.0f} MB"
        for count, figures in sizes.items()
    )
    return [
        speed,
        Row(
            stages.IMPORT_TIME, f"s for {len(files):,} files", seconds, lower_is_better=True,
            goal=f"≤ {_GOAL_SECONDS} s", met=seconds <= _GOAL_SECONDS,
        ),
        Row(
            stages.IMPORT_MEMORY, "MB", max(memory) / 1e6, lower_is_better=True,
            goal=f"≤ {_GOAL_MEMORY_BYTES / 1e6:.0f} MB", met=max(memory) <= _GOAL_MEMORY_BYTES,
            notes=["largest resident size of the importing process and twice that of its largest reader"],
        ),
        Row(
            stages.IMPORT_LINEAR, "× the time per file", grown_ratio, lower_is_better=True, goal="linear",
            met=grown_ratio <= 1.15, notes=[growth, "beyond the files that there are: the same with other tempos"],
        ),
    ]  # fmt: skip


def _import(path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.import_once", str(path)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return figures


def _write_zip(path: Path, files: list[bytes], count: int) -> None:
    """`count` different files: each round through the real ones plays a little slower than the one before."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(count):
            data = files[number % len(files)]
            turn = number // len(files)
            at = data.find(_TEMPO) + len(_TEMPO)
            if turn and at >= len(_TEMPO):
                microseconds = int.from_bytes(data[at : at + 3], "big") + 1_000 * turn
                data = data[:at] + microseconds.to_bytes(3, "big") + data[at + 3 :]
            archive.writestr(f"{turn:02d}/{number:06d}.midi", data)


if __name__ == "__main__":
    main()
