"""A training in a process of its own: `FAMILY CORPUS FOLDER`; what it stores goes into the folder."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Literal

from core.datasets.corpus import Corpus
from core.modeling.checkpoints import Checkpoint
from core.training.run import SilentHooks, TrainingProgress, train
from core.training.settings import parse_training_settings

_VALUES = {
    "lstm": {
        "embedding": 8, "units": 16, "dropout": 0.2, "steps": 40, "window": 32, "batch_size": 4, "evaluate_every": 15,
    },
    "wavenet": {
        "units": 16, "layers": 5, "cycle": 3, "dropout": 0.2, "average": 0.9, "steps": 40, "window": 32,
        "batch_size": 4, "evaluate_every": 15,
    },
    "tutorial": {"files": 0, "epochs": 4, "batch_size": 8},
}  # fmt: skip


class FolderHooks(SilentHooks):
    """Resume points and the log as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.resumed = self.load_resume() is not None

    def progress(self, progress: TrainingProgress) -> None:
        # The first process takes its time, so that there is one to kill.
        if not self.resumed and self.folder.name == "killed":
            time.sleep(0.1)

    def save_resume(self, data: bytes, step: int) -> None:
        if step < 3:
            return
        aside = self.folder / "resume.part"
        aside.write_bytes(data)
        aside.rename(self.folder / "resume")

    def load_resume(self) -> bytes | None:
        path = self.folder / "resume"
        return path.read_bytes() if path.exists() else None

    def save_checkpoint(self, kind: Literal["best", "last"], checkpoint: Checkpoint) -> None:
        (self.folder / kind).write_bytes(checkpoint.to_bytes())

    def log(self, text: str) -> None:
        with (self.folder / "log").open("a") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    family, corpus, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    settings = parse_training_settings(family, _VALUES[family])
    result = train(settings, Corpus.from_bytes(corpus.read_bytes()), FolderHooks(folder), resume_seconds=0.2)
    (folder / "result").write_bytes(result.last.to_bytes())
