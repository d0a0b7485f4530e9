"""`python -m benchmarks.quality`: from encoded MIDI to the held-out figure, on any machine with TensorFlow or JAX.

    python -m benchmarks.quality encode maestro.zip corpus.xz          # at most 30 MB to carry
    KERAS_BACKEND=jax python -m benchmarks.quality train corpus.xz FOLDER --fit-minutes 55 --minutes 9
    python -m benchmarks.quality join FOLDER model.cadenza             # the weights that came back, as a model

`train` goes on where it stopped when it is called again with the same folder, until it prints its last line with the
figure over all validation pieces; flags that say other than the folder are refused. Beside numpy, pydantic and Keras
with its backend it needs no package.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.calibration import measure_speed
from benchmarks.carried import join_checkpoint, pack_corpus, packed_digest, read_corpus, read_packed, write_whole
from benchmarks.run_folder import FolderHooks, WallTime
from benchmarks.run_settings import keep_settings, kept_settings
from core.datasets.corpus import Corpus
from core.errors import CadenzaError
from core.training.event_settings import FamilySettings
from core.training.settings import parse_training_settings

# What the steps have of the time; the rest goes to held-out figures and resume points.
_STEPS_SHARE = 0.92
_RESUME_SECONDS = 150.0


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands; 3 says that the training is to be continued, 2 that something is refused or missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    commands = parser.add_subparsers(dest="command", required=True)
    encode = commands.add_parser("encode", help="write a corpus into one small file")
    encode.add_argument("source", type=Path, help="zip in MAESTRO's layout, or a dataset's corpus.npz")
    encode.add_argument("file", type=Path)
    train = commands.add_parser("train", help="train, or go on training")
    train.add_argument("file", type=Path)
    train.add_argument("folder", type=Path)
    train.add_argument("--family", help="transformer unless the folder or this says otherwise")
    train.add_argument("--preset", help="Large unless the folder or this says otherwise")
    train.add_argument("--set", type=_pair, action="append", default=[], metavar="NAME=VALUE")
    train.add_argument("--minutes", type=float, default=0.0, help="stop after so long, to be continued; 0 never stops")
    train.add_argument("--fit-minutes", type=float, help="as many steps as fit this time, measured")
    join = commands.add_parser("join", help="put the weights' parts together")
    join.add_argument("folder", type=Path)
    join.add_argument("model", type=Path)
    options = parser.parse_args(arguments)
    fixed = sorted({"minutes", "steps"} & {name for name, _ in getattr(options, "set", [])})
    if fixed and options.fit_minutes:
        parser.error(f"--fit-minutes measures how many steps fit; leave --set {fixed[0]}=... out")
    try:
        return {"encode": _encode, "train": _train, "join": _join}[options.command](options)
    except CadenzaError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or options.command}: {error.strerror or error}", file=sys.stderr)
    return 2


def _pair(text: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if not name or not given:
        raise argparse.ArgumentTypeError(f"{text!r} is refused; write NAME=VALUE, such as dropout=0.1")
    return name, value


def _join(options: argparse.Namespace) -> int:
    options.model.write_bytes(join_checkpoint(options.folder).to_bytes())
    return 0


def _encode(options: argparse.Namespace) -> int:
    corpus = read_corpus(options.source)
    data = pack_corpus(corpus)
    options.file.write_bytes(data)
    print(f"{len(corpus):,} pieces, {len(corpus.notes):,} notes, {len(data):,} bytes")
    return 0


def _train(options: argparse.Namespace) -> int:
    began = time.monotonic()
    folder, file = options.folder, options.file
    if (folder / "result.json").exists():
        kept_settings(folder, options, packed_digest(file) if file.exists() else None)
        print((folder / "result.json").read_text(), end="")
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    with WallTime(folder, began) as wall:
        return _train_on(file, folder, options, wall)


def _train_on(file: Path, folder: Path, options: argparse.Namespace, wall: WallTime) -> int:
    from core.training.run import TrainingInterrupted, train

    _keep_what_is_compiled(folder)
    corpus, digest = read_packed(file)
    settings = kept_settings(folder, options, digest) or _choose(folder, options, corpus, digest, wall.began)
    until = wall.began + options.minutes * 60 if options.minutes else float("inf")
    try:
        result = train(settings, corpus, FolderHooks(folder, wall, until), resume_seconds=_RESUME_SECONDS)
    except TrainingInterrupted:
        print(f"to be continued: call it again with {folder}", flush=True)
        return 3
    figures = {name: round(value, 5) for name, value in result.best.figures.items()}
    facts = {"parameters": result.best.parameters, "steps": result.steps, "epochs": round(result.epochs, 2)}
    line = json.dumps({**facts, **figures, "seconds": round(wall.seconds), "machine": _machine()})
    write_whole(folder / "result.json", f"{line}\n".encode())
    print(line)
    return 0


def _keep_what_is_compiled(folder: Path) -> None:
    """Under JAX, let the next run over the folder load what this one compiles, with the kernels chosen for it.

    So the first run alone compiles, and that once, though it measures the speed before; and all compute alike.
    """
    import keras

    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_compilation_cache_dir", str((folder / "compiled").resolve()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _choose(folder: Path, options: argparse.Namespace, corpus: Corpus, digest: str, began: float) -> FamilySettings:
    """Those of a folder that is new."""
    family, preset, minutes = options.family or "transformer", options.preset or "Large", options.fit_minutes or 0.0
    # Without the preset's limit: by the clock only where that is asked for.
    given: dict[str, Any] = {"minutes": "0", **dict(options.set)}
    settings = parse_training_settings(family, given, preset)
    if minutes:
        given["steps"] = _steps_within(began + minutes * 60, settings, corpus)
        settings = parse_training_settings(family, given, preset)
    keep_settings(folder, settings, digest, {"preset": preset, "fit_minutes": minutes})
    return settings


def _steps_within(until: float, settings: FamilySettings, corpus: Corpus) -> int:
    """How many steps this machine does until a `time.monotonic()`, with what its figures and resume points take."""
    speed = measure_speed(settings, corpus, until - time.monotonic())
    # The training has to begin once more.
    left = until - time.monotonic() - speed.begin_seconds
    steps = max(1, int(left * _STEPS_SHARE * speed.steps_per_second))
    print(
        f"{1000 / speed.steps_per_second:.1f} ms a step, {speed.events_per_second:,.0f} events/s: {steps:,} steps",
        flush=True,
    )
    return steps


def _machine() -> str:
    import platform

    import keras

    from core.modeling.devices import device_kind, device_name

    return f"{device_name()} ({device_kind()}), {keras.backend.backend()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
