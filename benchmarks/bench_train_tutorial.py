"""Training the article's network for ten epochs: ours against the article's pipeline, each from a cold start."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import stages
from benchmarks.harness import Options, Row, Sample, Side, interleave, run_program
from benchmarks.machine import matrix_flops

_EPOCHS = 10
_GOAL = 1.25
_WINDOW, _UNITS, _HEADS = 25, 128, 130


def main() -> None:
    """Run it."""
    run_program(measure, repeats=2)


def measure(options: Options) -> list[Row]:
    """One row, in windows per second over all epochs, compilation included."""
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "article": []}
    with tempfile.TemporaryDirectory(prefix="cadenza-bench-") as folder:
        path = Path(folder) / "music.zip"
        path.write_bytes(options.music.zip_bytes)

        def side(name: str) -> Side:
            def run() -> Sample:
                figures = _train(name, path)
                runs[name].append(figures)
                return Sample(_EPOCHS * figures["windows"], figures["seconds"])

            return run

        timings = interleave({name: side(name) for name in runs}, options.repeats, warm_up=False)
    # Forward, and backward twice as much: inputs of 3 numbers and a state of 128 into four gates, then the heads.
    window_flops = 3 * 2 * (_WINDOW * (3 + _UNITS) * 4 * _UNITS + _UNITS * _HEADS)
    row = Row(
        stages.TRAIN_TUTORIAL,
        "windows/s",
        timings["ours"].rate,
        "article's tf.data pipeline and Keras fit",
        timings["article"].rate,
        limit=matrix_flops() / window_flops,
        limit_name="matrix products alone",
        goal=f"≥ {_GOAL} ×",
        notes=[options.music.name, *(_describe(name, found) for name, found in runs.items())],
    )
    row.met = (row.ratio or 0) >= _GOAL
    return [row]


def _train(side: str, path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.train_tutorial_once", side, str(path), str(_EPOCHS)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return figures


def _describe(name: str, runs: list[dict[str, Any]]) -> str:
    def middle(figure: str) -> float:
        return statistics.median(run[figure] for run in runs)

    return (
        f"{name}: {middle('seconds'):.1f} s for {_EPOCHS} epochs of {runs[0]['windows']:,} windows in {len(runs)} "
        f"repeats, the first epoch with building and compilation {middle('first_epoch_seconds'):.1f} s, each later one "
        f"{middle('epoch_seconds'):.2f} s, last loss {middle('loss'):.4f}"
    )


if __name__ == "__main__":
    main()
