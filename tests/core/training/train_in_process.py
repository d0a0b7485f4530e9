"""Trainings in a process of their own: `CORPUS FOLDER FAMILY...`; what each stores goes into its folder in FOLDER.

A training that finds a resume point goes on from it to its end. One that finds none holds still soon after it has
written one, and waits there to be killed; unless there is a file `undisturbed` in its folder.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from core.loading import loading

with loading():
    from core.datasets.corpus import Corpus
    from core.training.run import SilentHooks, TrainingProgress, train
    from core.training.settings import FamilySettings, parse_training_settings

FAMILIES = {
    "lstm": {
        "embedding": 8, "units": 16, "dropout": 0.2, "steps": 30, "window": 32, "batch_size": 4, "evaluate_every": 12,
    },
    "wavenet": {
        "units": 16, "layers": 5, "cycle": 3, "dropout": 0.2, "average": 0.9, "steps": 30, "window": 32,
        "batch_size": 4, "evaluate_every": 12,
    },
    "tutorial": {"files": 0, "epochs": 4, "batch_size": 8},
}  # fmt: skip


def settings_of(family: str) -> FamilySettings:
    """What is trained."""
    return parse_training_settings(family, FAMILIES[family])


class FolderHooks(SilentHooks):
    """Resume points and the log as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.resumed = self.load_resume() is not None
        self.holds = not self.resumed and not (folder / "undisturbed").exists()
        self.saved_step = 0

    def progress(self, progress: TrainingProgress) -> None:
        if self.holds and self.saved_step and progress.step >= self.saved_step + 2:
            (self.folder / "holds").touch()
            time.sleep(3600)

    def save_resume(self, data: bytes, step: int) -> None:
        if step < 3 or (self.saved_step and not self.resumed):
            return
        aside = self.folder / "resume.part"
        aside.write_bytes(data)
        aside.rename(self.folder / "resume")
        self.saved_step = step

    def load_resume(self) -> bytes | None:
        path = self.folder / "resume"
        return path.read_bytes() if path.exists() else None

    def log(self, text: str) -> None:
        with (self.folder / "log").open("a") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    corpus, whole = Corpus.from_bytes(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2])
    for family in sys.argv[3:]:
        folder = whole / family
        result = train(settings_of(family), corpus, FolderHooks(folder), resume_seconds=0)
        (folder / "result").write_bytes(result.last.to_bytes())
