"""What a training has reached: its best and last checkpoints, early stopping, and the seconds that it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from core.modeling.checkpoints import Checkpoint
from core.training.hooks import TrainingHooks, TrainingPoint
from core.training.pulse import Stopwatch
from core.training.resume import Arrays
from core.training.settings import FamilySettings


@dataclass(slots=True)
class Reached:
    """The part of a resume point's place that every training has.

    Attributes:
        best_loss: of the best weights, those of an earlier start included; None before the first figure.
        best_figures: measured with the best weights; `last_figures`: with the last ones that were measured.
        lowest: the lowest loss since this training began at step 0, which is what early stopping looks at.
        waited: figures since then without a lower one.
        seconds: that it ran; None where a part of it was not counted.
    """

    best_loss: float | None = None
    best_figures: dict[str, float] = field(default_factory=dict)
    last_figures: dict[str, float] = field(default_factory=dict)
    lowest: float | None = None
    waited: int = 0
    seconds: float | None = None

    @classmethod
    def of(cls, place: Mapping[str, Any]) -> Self:
        """What a stored place says; one from before `lowest` was kept had only one start."""
        known = {part.name: place[part.name] for part in fields(cls) if part.name in place}
        return cls(**{"lowest": known.get("best_loss"), **known})


class Keeper:
    """Keeps the best of all weights that are measured, and tells of each figure.

    A training that lost its resume point begins at step 0 again, but the best checkpoint that it stored before stays
    the best one until there is a better one.
    """

    def __init__(
        self, hooks: TrainingHooks, settings: FamilySettings, patience: int, chosen_by: str, fresh: Arrays
    ) -> None:
        """`chosen_by` names the figure whose lowest value is the best; `fresh` are the weights of step 0."""
        self._hooks = hooks
        self._settings = settings
        self._patience = patience
        self._chosen_by = chosen_by
        self._values = settings.model_dump(mode="json")
        self._clock = Stopwatch()
        self._reached = Reached()
        self._best = fresh

    def begin(self, place: Mapping[str, Any] | None, best: Arrays | None, **values: Any) -> None:
        """Take over what a resume point holds (None: there is none) and the stored checkpoint, if that is better.

        Args:
            place: of the resume point.
            best: the resume point's best weights.
            values: settings as checkpoints shall hold them, where this training chose them itself.
        """
        self.decide(**values)
        if place is not None and best is not None:
            self._reached, self._best = Reached.of(place), best
            self._clock.add(self._reached.seconds)
        stored = self._hooks.load_best()
        if stored is None or not self._fits(stored):
            return
        loss = stored.figures[self._chosen_by]
        if self._reached.best_loss is None or loss < self._reached.best_loss:
            self._reached.best_loss, self._reached.best_figures = loss, dict(stored.figures)
            self._best = stored.weights
            if place is None:
                self._hooks.log(f"The best checkpoint stored before ({loss:.4f}) stays until there is a better one.")

    def decide(self, **values: Any) -> None:
        """Let checkpoints hold these settings from now on, which this training has chosen itself."""
        self._values |= values

    @property
    def seconds(self) -> float:
        """That the training has run; 0 where an earlier version did not count them, which had no limit of them."""
        return self._clock.seconds or 0.0

    @property
    def best(self) -> Arrays:
        """The best weights so far."""
        return self._best

    @property
    def best_figures(self) -> dict[str, float]:
        """What was measured with them."""
        return self._reached.best_figures

    @property
    def patience_is_over(self) -> bool:
        """Whether early stopping ends the training."""
        return 0 < self._patience <= self._reached.waited

    def measured(self, weights: Arrays, figures: dict[str, float]) -> bool:
        """Judge weights by their figures and store their checkpoints.

        Returns:
            Whether no figure since step 0 was as low.
        """
        reached, loss = self._reached, figures[self._chosen_by]
        lower = reached.lowest is None or loss < reached.lowest
        reached.waited = 0 if lower else reached.waited + 1
        reached.last_figures = figures
        if lower:
            reached.lowest = loss
        if reached.best_loss is None or loss < reached.best_loss:
            reached.best_loss, reached.best_figures, self._best = loss, figures, weights
            self._hooks.save_checkpoint("best", self.best_checkpoint())
        self._hooks.save_checkpoint("last", self.last_checkpoint(weights))
        return lower

    def complete(self, figures: dict[str, float]) -> None:
        """Store the best checkpoint once more, with figures over all that is held out."""
        self._reached.best_figures = figures
        self._hooks.save_checkpoint("best", self.best_checkpoint())

    def point(self, step: int, epoch: float, values: dict[str, float]) -> None:
        """Tell of a point of the curves, with the seconds of training until now."""
        self._hooks.point(TrainingPoint(step, epoch, values, self._clock.seconds))

    def best_checkpoint(self) -> Checkpoint:
        """The best weights with their figures."""
        return self._checkpoint(self._best, self._reached.best_figures)

    def last_checkpoint(self, weights: Arrays) -> Checkpoint:
        """These weights with the figures measured last."""
        return self._checkpoint(weights, self._reached.last_figures)

    def place(self) -> dict[str, Any]:
        """For the place of a resume point."""
        self._reached.seconds = self._clock.seconds
        return asdict(self._reached)

    def what_is_kept(self) -> str:
        """A sentence on what remains of a training that cannot go on."""
        reached = self._reached
        if reached.last_figures:
            return f"The last good checkpoint, of step {reached.last_figures['step']:.0f}, is kept."
        if reached.best_figures:
            return f"The best checkpoint of its earlier start, of step {reached.best_figures['step']:.0f}, is kept."
        return "It had not come to its first checkpoint, so there is none to keep."

    def _fits(self, stored: Checkpoint) -> bool:
        """Whether a checkpoint is of these very settings; what trainings decide may be another machine's."""
        decided = self._settings.decided_in_training
        theirs, ours = (
            {name: value for name, value in settings.model_dump().items() if name not in decided}
            for settings in (stored.family_settings, self._settings)
        )
        return stored.family == self._settings.family and theirs == ours and self._chosen_by in stored.figures

    def _checkpoint(self, weights: Arrays, figures: dict[str, float]) -> Checkpoint:
        settings = self._settings
        return Checkpoint(settings.family, settings.encoding, self._values, weights, dict(figures))
