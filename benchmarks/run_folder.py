"""A training's folder: everything of it as files, so that it can be cut into runs, killed and gone on with."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from benchmarks.carried import split_checkpoint, write_whole
from core.errors import CheckpointError
from core.modeling.checkpoints import Checkpoint
from core.training.hooks import TrainingPoint, TrainingProgress

_CLOCK_SECONDS = 2.0
_TOLD_SECONDS = 10.0


class WallTime:
    """Seconds that all runs over a folder took, from their first line to their last; `with` counts.

    Written every two seconds, so that a run which is killed counts too, but for the two seconds before its end.

    Attributes:
        began: `time.monotonic()` at this run's first line.
    """

    def __init__(self, folder: Path, began: float) -> None:
        self._path = folder / "seconds.json"
        self._before = float(json.loads(self._path.read_text())) if self._path.exists() else 0.0
        self.began = began
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write_often, daemon=True)

    @property
    def seconds(self) -> float:
        """Of this run and all before it, until now."""
        return self._before + time.monotonic() - self.began

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._write()

    def _write_often(self) -> None:
        while not self._over.wait(_CLOCK_SECONDS):
            self._write()

    def _write(self) -> None:
        write_whole(self._path, json.dumps(self.seconds).encode())


class FolderHooks:
    """Resume point, checkpoints and curve as files of one folder, each written aside and renamed; log and progress
    to the output.
    """

    def __init__(self, folder: Path, wall: WallTime, until: float) -> None:
        """`until` is the `time.monotonic()` at which to stop."""
        self._folder = folder
        self._wall = wall
        self._until = until
        self._told = 0.0

    def progress(self, progress: TrainingProgress) -> None:
        """A line every ten seconds."""
        if time.monotonic() - self._told > _TOLD_SECONDS:
            self._told = time.monotonic()
            print(
                f"step {progress.step}/{progress.steps}, epoch {progress.epoch:.2f}, loss {progress.train_loss:.4f}, "
                f"{progress.events_per_second:,.0f} events/s, {progress.seconds_left:.0f} s left",
                flush=True,
            )

    def point(self, point: TrainingPoint) -> None:
        """A line of the curve, in place of those of a run that was killed after it."""
        path = self._folder / "curve.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] < point.step]
        times: dict[str, Any] = {"seconds": round(self._wall.seconds, 1)}
        if point.seconds is not None:
            times["training_seconds"] = round(point.seconds, 1)
        own = json.dumps({"step": point.step, "epoch": point.epoch, **times, **point.values})
        write_whole(path, "".join(f"{line}\n" for line in [*kept, own]).encode())

    def save_resume(self, data: bytes, step: int) -> None:
        """Replace the resume point."""
        write_whole(self._folder / "resume", data)

    def load_resume(self) -> bytes | None:
        """The resume point, if there is one."""
        path = self._folder / "resume"
        return path.read_bytes() if path.exists() else None

    def save_checkpoint(self, kind: Literal["best", "last"], checkpoint: Checkpoint) -> None:
        """The best one: whole, for this folder, and in parts, which may come back."""
        if kind == "best":
            write_whole(self._folder / "best.cadenza", checkpoint.to_bytes())
            split_checkpoint(checkpoint, self._folder)

    def load_best(self) -> Checkpoint | None:
        """The best one, whole."""
        path = self._folder / "best.cadenza"
        try:
            return Checkpoint.from_bytes(path.read_bytes()) if path.exists() else None
        except CheckpointError as error:
            self.log(f"The best checkpoint stored before cannot be read: {error}")
            return None

    def log(self, text: str) -> None:
        """To the output."""
        print(text, flush=True)

    def interrupted(self) -> bool:
        """When the time is over."""
        return time.monotonic() > self._until
