"""What a training tells the outside while it runs, and what it gives back. Light: no Keras in here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from core.errors import CadenzaError
from core.modeling.checkpoints import Checkpoint


class TrainingInterrupted(CadenzaError):  # noqa: N818 - it is an order that was followed, not a mistake
    """The training stopped because `TrainingHooks.interrupted` asked for it; a resume point has been written."""


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where a training is; told often, to be shown at most as often as the receiver likes.

    Attributes:
        step: steps done; `steps`: steps in all if it does not stop early.
        epoch: passes over the training data so far (a fraction for `lstm`).
        notes_per_second, events_per_second: since this process took over, compilation left out; 0 at first.
        seconds_left: estimate for the rest; 0 at first.
        train_loss: latest.
        heads: loss by head, for a family with several.
    """

    step: int
    steps: int
    epoch: float
    notes_per_second: float
    events_per_second: float
    seconds_left: float
    train_loss: float
    heads: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingPoint:
    """One point of the curves. After a resume the same step may be told again, with the same values.

    Attributes:
        seconds: that the training ran until then, in all its processes; pauses and what a kill threw away left out.
            None when it went on from a resume point that did not count them.
    """

    step: int
    epoch: float
    values: dict[str, float]
    seconds: float | None = None


class TrainingHooks(Protocol):
    """The ears and hands of whoever runs a training; `SilentHooks` is a base with empty methods."""

    def progress(self, progress: TrainingProgress) -> None:
        """Called after every few steps."""

    def point(self, point: TrainingPoint) -> None:
        """Called after every evaluation or epoch."""

    def save_resume(self, data: bytes, step: int) -> None:
        """Store a resume point in place of the one before."""

    def load_resume(self) -> bytes | None:
        """The latest resume point, or None."""

    def save_checkpoint(self, kind: Literal["best", "last"], checkpoint: Checkpoint) -> None:
        """Store a checkpoint in place of the one of its kind before."""

    def load_best(self) -> Checkpoint | None:
        """The best checkpoint stored so far for these settings and this data, or None."""

    def log(self, text: str) -> None:
        """One line for the training's log."""

    def interrupted(self) -> bool:
        """Whether to stop; looked at between steps."""


class SilentHooks:
    """Hooks that do nothing."""

    def progress(self, progress: TrainingProgress) -> None:
        """Ignore it."""

    def point(self, point: TrainingPoint) -> None:
        """Ignore it."""

    def save_resume(self, data: bytes, step: int) -> None:
        """Ignore it."""

    def load_resume(self) -> bytes | None:
        """There is none."""
        return None

    def save_checkpoint(self, kind: Literal["best", "last"], checkpoint: Checkpoint) -> None:
        """Ignore it."""

    def load_best(self) -> Checkpoint | None:
        """There is none."""
        return None

    def log(self, text: str) -> None:
        """Ignore it."""

    def interrupted(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a finished training gives.

    Attributes:
        best: the checkpoint with the lowest held-out loss (`tutorial`: training loss), its figures complete.
        last: the checkpoint after the last step.
        steps: steps done in all, those before a resume included.
        epochs: passes over the training data.
        stopped_early: whether early stopping ended it.
    """

    best: Checkpoint
    last: Checkpoint
    steps: int
    epochs: float
    stopped_early: bool
