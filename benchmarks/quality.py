"""`python -m benchmarks.quality`: from encoded MIDI to the held-out figure, on any machine with TensorFlow or JAX.

    python -m benchmarks.quality encode maestro.zip corpus.xz          # at most 30 MB to carry
    KERAS_BACKEND=jax python -m benchmarks.quality train corpus.xz FOLDER --fit-minutes 55 --minutes 9
    python -m benchmarks.quality join FOLDER model.cadenza             # the weights that came back, as a model

`train` goes on where it stopped when it is called again with the same folder, until it prints its last line with the
figure over all validation pieces. Beside numpy, pydantic and Keras with its backend it needs no package.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Literal

from benchmarks.carried import join_checkpoint, pack_corpus, read_corpus, split_checkpoint, unpack_corpus

_CALIBRATION_STEPS = 40
# What evaluations, resume points and compiling take of the time.
_STEPS_SHARE = 0.92
_RESUME_SECONDS = 150.0


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands; 3 says that the training is to be continued."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    commands = parser.add_subparsers(dest="command", required=True)
    encode = commands.add_parser("encode", help="write a corpus into one small file")
    encode.add_argument("source", type=Path, help="zip in MAESTRO's layout, or a dataset's corpus.npz")
    encode.add_argument("file", type=Path)
    train = commands.add_parser("train", help="train, or go on training")
    train.add_argument("file", type=Path)
    train.add_argument("folder", type=Path)
    train.add_argument("--family", default="transformer")
    train.add_argument("--preset", default="Large")
    train.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    train.add_argument("--minutes", type=float, default=0.0, help="stop after so long, to be continued; 0 never stops")
    train.add_argument("--fit-minutes", type=float, default=0.0, help="as many steps as fit this time, measured")
    join = commands.add_parser("join", help="put the weights' parts together")
    join.add_argument("folder", type=Path)
    join.add_argument("model", type=Path)
    options = parser.parse_args(arguments)
    if options.command == "encode":
        return _encode(options)
    if options.command == "train":
        return _train(options)
    options.model.write_bytes(join_checkpoint(options.folder).to_bytes())
    return 0


def _encode(options: argparse.Namespace) -> int:
    corpus = read_corpus(options.source)
    data = pack_corpus(corpus)
    options.file.write_bytes(data)
    print(f"{len(corpus):,} pieces, {len(corpus.notes):,} notes, {len(data):,} bytes")
    return 0


def _train(options: argparse.Namespace) -> int:
    from core.training.run import TrainingInterrupted, train
    from core.training.settings import parse_stored_settings, parse_training_settings

    started = time.monotonic()
    corpus = unpack_corpus(options.file.read_bytes())
    options.folder.mkdir(parents=True, exist_ok=True)
    chosen = options.folder / "settings.json"
    if chosen.exists():
        values = json.loads(chosen.read_text())
        settings = parse_stored_settings(values.pop("family"), values)
    else:
        given = dict(pair.split("=", 1) for pair in options.set)
        settings = parse_training_settings(options.family, given, options.preset)
        if options.fit_minutes:
            steps = _steps_within(options.fit_minutes * 60, settings, corpus)
            settings = parse_training_settings(options.family, {**given, "steps": steps}, options.preset)
        chosen.write_text(json.dumps({"family": settings.family, **settings.model_dump(mode="json")}, indent=1))
    until = started + options.minutes * 60 if options.minutes else float("inf")
    hooks = FolderHooks(options.folder, until)
    try:
        result = train(settings, corpus, hooks, resume_seconds=_RESUME_SECONDS)
    except TrainingInterrupted:
        hooks.add_seconds()
        print(f"to be continued: call it again with {options.folder}", flush=True)
        return 3
    hooks.add_seconds()
    figures = {name: round(value, 5) for name, value in result.best.figures.items()}
    facts = {"parameters": result.best.parameters, "steps": result.steps, "epochs": round(result.epochs, 2)}
    line = json.dumps({**facts, **figures, "seconds": round(hooks.seconds), "machine": _machine()})
    (options.folder / "result.json").write_text(line + "\n")
    print(line)
    return 0


class FolderHooks:
    """Resume point, checkpoints, curve and log as files of one folder, each written aside and renamed.

    Attributes:
        seconds: wall time of all calls so far.
    """

    def __init__(self, folder: Path, until: float) -> None:
        """`until` is the `time.monotonic()` at which to stop."""
        self._folder = folder
        self._until = until
        self._began = time.monotonic()
        self._told = 0.0
        spent = folder / "seconds.json"
        self.seconds = float(json.loads(spent.read_text())) if spent.exists() else 0.0

    def add_seconds(self) -> None:
        """Count this call's time."""
        now = time.monotonic()
        self.seconds += now - self._began
        self._began = now
        self._write("seconds.json", json.dumps(self.seconds).encode())

    def progress(self, progress: Any) -> None:
        """A line every ten seconds."""
        if time.monotonic() - self._told > 10:
            self._told = time.monotonic()
            print(
                f"step {progress.step}/{progress.steps}, epoch {progress.epoch:.2f}, loss {progress.train_loss:.4f}, "
                f"{progress.events_per_second:,.0f} events/s, {progress.seconds_left:.0f} s left",
                flush=True,
            )

    def point(self, point: Any) -> None:
        """A line of the curve."""
        seconds = self.seconds + time.monotonic() - self._began
        line = {"step": point.step, "epoch": point.epoch, "seconds": round(seconds, 1), **point.values}
        with (self._folder / "curve.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def save_resume(self, data: bytes, step: int) -> None:
        """Replace the resume point."""
        self._write("resume", data)
        self.add_seconds()

    def load_resume(self) -> bytes | None:
        """The resume point, if there is one."""
        path = self._folder / "resume"
        return path.read_bytes() if path.exists() else None

    def save_checkpoint(self, kind: Literal["best", "last"], checkpoint: Any) -> None:
        """The best one, in parts that may come back."""
        if kind == "best":
            split_checkpoint(checkpoint, self._folder)

    def log(self, text: str) -> None:
        """To the output."""
        print(text, flush=True)

    def interrupted(self) -> bool:
        """When the time is over."""
        return time.monotonic() > self._until

    def _write(self, name: str, data: bytes) -> None:
        aside = self._folder / f"{name}.aside"
        aside.write_bytes(data)
        aside.replace(self._folder / name)


def _steps_within(seconds: float, settings: Any, corpus: Any) -> int:
    """How many steps this machine does in the time, measured with steps whose results are thrown away."""
    from core.modeling.backend import make_deterministic
    from core.modeling.initial import initial_weights
    from core.modeling.network import build_network
    from core.training.event_step import EventStep
    from core.training.events_run import chosen_precision
    from core.training.windows import EventWindows

    make_deterministic()
    began = time.monotonic()
    step = EventStep(build_network(settings, chosen_precision(settings)), settings)
    windows = EventWindows([piece for piece in corpus.pieces("train") if len(piece)], settings)
    trees = step.begin(initial_weights(settings))
    for number in range(3):
        trees, _ = step.advance(trees, windows.batch(number), number)
    first = time.monotonic()
    for number in range(_CALIBRATION_STEPS):
        trees, _ = step.advance(trees, windows.batch(number), number)
    each = (time.monotonic() - first) / _CALIBRATION_STEPS
    events = settings.batch_size * settings.window / each
    steps = max(1, int((seconds - (first - began)) * _STEPS_SHARE / each))
    print(
        f"{each * 1000:.1f} ms a step, {events:,.0f} events/s, on {step.devices} devices: {steps:,} steps", flush=True
    )
    return steps


def _machine() -> str:
    import platform

    import keras

    from core.modeling.backend import device_kind, device_name

    return f"{device_name()} ({device_kind()}), {keras.backend.backend()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
