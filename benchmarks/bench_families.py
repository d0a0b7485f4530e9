"""`python -m benchmarks.bench_families`: every family with the same music and the same time, as a table.

Each trains its preset on one corpus for as many seconds of processor time (so that other programs on the machine cost
it nothing), then composes. The learning rate's schedule is laid over the steps that fit, which are measured first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_FAMILIES = ("lstm", "gru", "conv1d", "wavenet", "transformer")
_WARM_STEPS, _MEASURED_STEPS = 3, 30
_HEADS = ("family", "parameters", "steps", "events/s", "nats/event", "nats/note", "notes/s", "defects per 1,000")


def main() -> int:
    """Measure each family in a process of its own and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_families")
    parser.add_argument("corpus", type=Path, help="written by `python -m benchmarks.quality encode`")
    parser.add_argument("--seconds", type=float, default=360.0, help="processor time of each training")
    parser.add_argument("--preset", default="Starter")
    parser.add_argument("--takes", type=int, default=64, help="takes of 200 notes to compose")
    parser.add_argument("--only", default="", help="measure this family here and print its row as JSON")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(_measure(options)))
        return 0
    print(f"| {' | '.join(_HEADS)} |\n|{'---|' * len(_HEADS)}", flush=True)
    for family in _FAMILIES:
        command = [sys.executable, "-m", "benchmarks.bench_families", *sys.argv[1:], "--only", family]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        print(f"| {' | '.join(json.loads(output.splitlines()[-1]))} |", flush=True)
    return 0


def _measure(options: argparse.Namespace) -> list[str]:
    from benchmarks.carried import unpack_corpus
    from core.evaluation.defects import defects_per_thousand
    from core.modeling.backend import make_deterministic
    from core.music.notes import Notes
    from core.sampling.composer import Composer
    from core.sampling.settings import TakeSettings
    from core.training.run import SilentHooks, train
    from core.training.settings import parse_training_settings

    make_deterministic()
    corpus = unpack_corpus(options.corpus.read_bytes())
    settings = parse_training_settings(options.only, {}, options.preset)
    each = _seconds_per_step(settings, corpus)
    steps = max(10, int(options.seconds / each))
    change = {"steps": steps, "evaluate_every": max(1, steps // 8), "patience": 0}
    result = train(settings.model_copy(update=change), corpus, SilentHooks())

    composer, takes = Composer(result.best), list[Notes]()
    composer.warm_up()
    composer.compose([(seed, 1.0) for seed in range(8)], TakeSettings(length=20), None, lambda *_: None, lambda: False)
    before = time.process_time()
    requests = [(seed, 1.0) for seed in range(options.takes)]
    composer.compose(requests, TakeSettings(length=200), None, lambda _, notes: takes.append(notes), lambda: False)
    spent = time.process_time() - before
    figures = result.best.figures
    return [
        options.only,
        f"{result.best.parameters:,}",
        f"{steps:,}",
        f"{settings.batch_size * settings.window / each:,.0f}",
        f"{figures['held_out_nats_per_event']:.4f}",
        f"{figures['held_out_nats_per_note']:.4f}",
        f"{sum(map(len, takes)) / spent:,.0f}",
        f"{defects_per_thousand(takes)['any']:.0f}",
    ]


def _seconds_per_step(settings: Any, corpus: Any) -> float:
    """Processor time of a training step, compiled before."""
    from core.modeling.initial import initial_weights
    from core.modeling.network import build_network
    from core.training.event_step import EventStep
    from core.training.windows import EventWindows

    step = EventStep(build_network(settings), settings)
    windows = EventWindows([piece for piece in corpus.pieces("train") if len(piece)], settings)
    trees = step.begin(initial_weights(settings))
    for number in range(_WARM_STEPS + _MEASURED_STEPS):
        if number == _WARM_STEPS:
            before = time.process_time()
        trees, _ = step.advance(trees, windows.batch(number), number)
    return (time.process_time() - before) / _MEASURED_STEPS


if __name__ == "__main__":
    sys.exit(main())
