"""`python -m benchmarks.bench_families`: every family with the same music and the same time, as a table.

Each trains its smallest preset on the chorales (or on a corpus of `python -m benchmarks.quality encode`) for as many
seconds, in a process of its own, and is then measured as an evaluation measures a model. Six families with the default
time take about 20 minutes on two cores, so `make bench` runs it only by name: `make bench ONLY=families`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.chorales import import_chorales
from benchmarks.families_table import to_markdown
from benchmarks.harness import say
from core.evaluation.results import VERSION
from core.training.settings import FAMILIES

_SECONDS = 120.0
_TAKES = 256


def main() -> int:
    """Measure each family in a process of its own and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_families")
    parser.add_argument("corpus", type=Path, nargs="?", help="written by `quality encode`; the chorales without it")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="of training, for each family")
    parser.add_argument("--preset", default="", help="of each family; by default its first")
    parser.add_argument("--takes", type=int, default=_TAKES, help="takes of 200 notes to compose")
    parser.add_argument("--family", action="append", choices=list(FAMILIES), help="measure these only")
    parser.add_argument("--rows", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--measure", default="", help=argparse.SUPPRESS)  # one family, in this process
    options = parser.parse_args()
    if options.measure:
        options.rows.write_text(json.dumps(_measure(options)))
        return 0
    with tempfile.TemporaryDirectory(prefix="cadenza-families-") as folder:
        name = options.corpus.name if options.corpus else ""
        if not name:
            chorales = import_chorales()
            name = f"{chorales.name}, {len(chorales.corpus)} pieces"
            options.corpus = Path(folder) / "corpus.npz"
            options.corpus.write_bytes(chorales.corpus.to_bytes())
        rows = [_in_own_process(family, options, Path(folder)) for family in options.family or FAMILIES]
    table = {"corpus": name, "seconds": options.seconds, "takes": options.takes, "rows": rows, "version": VERSION}
    print(to_markdown(table))
    if options.rows:
        options.rows.write_text(json.dumps(table))
    return 0


def _in_own_process(family: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """So that none inherits another's memory, threads or compiled code."""
    target = folder / "row.json"
    command = [sys.executable, "-m", "benchmarks.bench_families", str(options.corpus), "--measure", family]
    command += ["--seconds", str(options.seconds), "--takes", str(options.takes), "--preset", options.preset]
    subprocess.run([*command, "--rows", str(target)], check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    row: dict[str, Any] = json.loads(target.read_text())
    say(f"{family}: {row['training']}; overlap {row['overlap']:.3f}")
    return row


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.carried import unpack_corpus
    from benchmarks.measured import measure
    from benchmarks.timed_training import train_for
    from core.datasets.corpus import Corpus
    from core.training.settings import parse_training_settings

    data = options.corpus.read_bytes()
    corpus = Corpus.from_bytes(data) if options.corpus.suffix == ".npz" else unpack_corpus(data)
    cls = FAMILIES[options.measure]
    preset = options.preset if options.preset in cls.presets else next(iter(cls.presets))
    # The article trains on five pieces only; here all families read the same.
    training = train_for(parse_training_settings(options.measure, {"files": 0}, preset), corpus, options.seconds)
    model = training.result.best
    found = measure(model, corpus, options.takes)
    lengths = {"takes": found.originality["takes"], "real": found.originality["lengths"]}
    threshold = found.originality["threshold"]
    return {
        "family": options.measure,
        "training": f"{preset}, {training.result.steps:,} steps, {training.result.epochs:.1f} passes over the data",
        "parameters": model.parameters,
        "training_rate": training.events_per_second,
        "rate_unit": "notes" if model.encoding == "tutorial" else "events",
        "notes_per_second": found.notes_per_second,
        **{name: found.likelihood.get(name) for name in ("nats_per_event", "nats_per_note", "nats_per_second")},
        "overlap": found.music["overlap"]["takes"],
        "defects": found.music["defects"]["takes"]["any"],
        "flagged": _share(lengths["takes"], threshold),
        "longest": _median(lengths["takes"]),
        "threshold": threshold,
        "beside": {
            which: {"overlap": found.music["overlap"][which], "defects": found.music["defects"][which]["any"]}
            for which in ("real", "random")
        },
        "real_excerpts": len(lengths["real"]),
        "real_of_training": found.originality["of_training"],
        "real_flagged": _share(lengths["real"], threshold),
        "real_longest": _median(lengths["real"]),
        "related": found.originality["related"],
        "held_out_pieces": sum(1 for _ in corpus.pieces("validation")),
    }


def _share(lengths: list[int], threshold: int) -> float:
    return sum(notes >= threshold for notes in lengths) / max(1, len(lengths))


def _median(lengths: list[int]) -> float:
    return float(statistics.median(lengths)) if lengths else 0.0


if __name__ == "__main__":
    sys.exit(main())
