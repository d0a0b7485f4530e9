"""`python -m benchmarks.ready_model`: train the model that comes with Cadenza, measure it, write checkpoint and card.

It learns from the chorales' training pieces; validation pieces choose the checkpoint; the card's figures are those of
the test pieces, by which nothing was chosen.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import core.ready
from benchmarks.chorales import Chorales, import_chorales
from benchmarks.machine import describe_machine
from benchmarks.measured import TAKE_NOTES, Measured, measure
from benchmarks.timed_training import TimedTraining, train_for
from core.evaluation.defects import likely_range
from core.evaluation.rules import hanging_rule, threshold_rule
from core.modeling.checkpoints import Checkpoint
from core.ready.shipped import ReadyModel
from core.training.settings import parse_training_settings

_SETTINGS = {"dropout": "0.05", "average": "0.998", "window": "256", "batch_size": "4"}
_EVALUATIONS = 30
_NAME = "Chorales (ready)"
_LARGEST_BYTES = 10 * 10**6


def main() -> int:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ready_model")
    parser.add_argument("--seconds", type=float, default=720.0, help="of training")
    parser.add_argument("--family", default="transformer")
    parser.add_argument("--preset", default="Starter")
    parser.add_argument("--set", action="append", metavar="NAME=VALUE", help="instead of the program's own settings")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--takes", type=int, default=512, help="takes of 200 notes to measure it by")
    parser.add_argument("--folder", type=Path, default=Path(core.ready.__path__[0]), help="where the files go")
    options = parser.parse_args()
    given = _SETTINGS if options.set is None else dict(pair.split("=", 1) for pair in options.set)
    settings = parse_training_settings(options.family, {**given, "seed": options.seed}, options.preset)
    chorales = import_chorales()
    training = train_for(settings, chorales.corpus, options.seconds, _EVALUATIONS)
    model = training.result.best
    found = measure(model, chorales.corpus, options.takes, "test")
    model = Checkpoint(model.family, model.encoding, model.settings, model.weights, _figures(model, found))
    data = model.to_bytes()
    if len(data) > _LARGEST_BYTES:
        print(f"the checkpoint has {len(data):,} bytes; allowed is {_LARGEST_BYTES:,}", file=sys.stderr)
        return 1
    card = _card(options, chorales, training, found, len(data))
    ready = ReadyModel(_NAME, model.content_hash, chorales.name, chorales.content_hash, card)
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "chorales.cadenza").write_bytes(data)
    (options.folder / "chorales.md").write_text(ready.to_text(), encoding="utf-8")
    print(card)
    return 0


def _figures(model: Checkpoint, found: Measured) -> dict[str, float]:
    """What the model's page shows as its figures: those of the test pieces."""
    units = ("event", "note", "second")
    held_out = {f"held_out_nats_per_{unit}": found.likelihood[f"nats_per_{unit}"] for unit in units}
    return {"step": model.figures["step"], "held_out_events": float(found.likelihood["events"]), **held_out}


def _card(
    options: argparse.Namespace, chorales: Chorales, training: TimedTraining, found: Measured, size_bytes: int
) -> str:
    model, corpus = training.result.best, chorales.corpus
    pieces = {split: sum(1 for _ in corpus.pieces(split)) for split in ("train", "validation", "test")}
    texts: dict[str, Any] = {
        "family": model.family,
        "parameters": f"{model.parameters:,}",
        "megabytes": f"{size_bytes / 1e6:.1f}",
        "dataset": chorales.name,
        **pieces,
        "pieces": len(corpus),
        "steps": f"{training.result.steps:,}",
        "passes": f"{training.result.epochs:.0f}",
        "minutes": f"{options.seconds / 60:.3g}",
        "machine": describe_machine(),
        "seed": options.seed,
        "semitones": model.settings["transpose_semitones"],
        "stretch": f"{model.settings['stretch']:.0%}",
        "table": "\n".join(_table(found)),
        "excerpts": f"{found.music['takes']:,}",
        "notes": TAKE_NOTES,
        "copies": threshold_rule(found.originality),
        "related": found.originality["related"],
        "hanging": f"Hanging, among the defects: {hanging_rule(found.music)}",
    }
    return _TEXT.format(**texts)


def _table(found: Measured) -> list[str]:
    music, copies = found.music, found.originality
    overlap, defects, lengths = music["overlap"], music["defects"], (copies["takes"], copies["lengths"])
    share = [sum(notes >= copies["threshold"] for notes in each) / max(1, len(each)) for each in lengths]
    longest = [statistics.median(each) if each else 0 for each in lengths]
    likelihood = found.likelihood
    rows = [
        ("figure", "this model", "real music", "random notes"),
        ("---", "---", "---", "---"),
        ("nats per event", f"{likelihood['nats_per_event']:.3f}", "", ""),
        ("nats per note", f"{likelihood['nats_per_note']:.3f}", "", ""),
        ("nats per second", f"{likelihood['nats_per_second']:.3f}", "", ""),
        ("overlap of the measures", *(f"{overlap[name]:.2f}" for name in ("takes", "real", "random"))),
        ("defects per 1,000", *(f"{defects[name]['any']:.0f}" for name in ("takes", "real", "random"))),
        ("the same, with 95 % confidence", "{:.0f} to {:.0f}".format(*_range(music)), "", ""),
        ("longest shared passage, median", *(f"{value:.0f} notes" for value in longest), ""),
        ("flagged as copies", *(f"{value:.1%}" for value in share), ""),
    ]
    return [f"| {' | '.join(row)} |" for row in rows]


def _range(music: Mapping[str, Any]) -> tuple[float, float]:
    return likely_range(music["defects"]["takes"]["any"], music["takes"])


_TEXT = """\
A small `{family}` ({parameters} parameters, {megabytes} MB) that has learned from Bach's four-part chorales,
so that there is something to hear before anything is trained.

## Data

{dataset}: {pieces} pieces, of which {train} were trained on, {validation} chose the checkpoint and {test} gave the
figures below. All are played at 100 quarter notes a minute and at one loudness, since the scores seldom say
otherwise. Each window of the training was moved by up to {semitones} semitones and played up to {stretch} faster or
slower.

Trained for {minutes} minutes on {machine}: {steps} steps, {passes} passes over the data,
seed {seed}.

## Licence

The compositions are Johann Sebastian Bach's (1685 to 1750) and in the public domain. Their encodings, most of them
by Margaret Greentree, come with music21, which distributes its corpus with the permission of the encoders and notes
that some of it may not be used commercially; the files of these chorales name no terms of their own. None of these
encodings is part of the model; what its takes share with them is counted below. The weights are part of Cadenza: its
terms are theirs.

## Figures

On the {test} test pieces, and on {excerpts} takes of {notes} notes at temperature 1. Real music means test pieces held
against each other.

{table}

{copies} Of the {test} test pieces {related} share more than a quarter of an excerpt with a training piece (the same
chorale in another key or setting), so they are not as new as they seem.
{hanging}

## Limits

It knows chorales for four voices in a steady beat and nothing else: no other style, no dynamics, no tempo of its own.
Nothing in it plans a whole piece, so a take stops where its length is reached. Rules of counterpoint were neither
taught nor measured. The test pieces are few, so the last digit of each figure means little. For other music, train a
model on that music.
"""

if __name__ == "__main__":
    sys.exit(main())
