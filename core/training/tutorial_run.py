"""Training of the article's network, with its losses, optimiser and stopping rule to the letter."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.datasets.corpus import Corpus
from core.errors import TrainingError
from core.modeling.backend import Tree, to_device, to_numpy
from core.modeling.device_memory import is_out_of_memory, out_of_memory_errors, unless_memory_is_full
from core.modeling.initial import initial_weights
from core.modeling.tutorial import HEADS
from core.training.hooks import TrainingHooks, TrainingProgress, TrainingResult
from core.training.keeper import Keeper
from core.training.loss import LOSS_WEIGHTS
from core.training.memory import batch_does_not_fit, weights_do_not_fit
from core.training.optimizer import bias_correction, zero_moments
from core.training.pulse import Pulse, Speed
from core.training.resume import Arrays, corpus_digest, read_resume, write_resume
from core.training.settings import TutorialSettings
from core.training.tutorial_program import compiled_tutorial_losses, compiled_tutorial_steps
from core.training.tutorial_windows import spread, window_starts

_SHUFFLE = 1
_STEPS_PER_CALL = 16
_HELD_OUT_ROWS = 256
# An epoch's held-out figure is for information: it must not cost more than a small part of the epoch itself.
_LEAST_HELD_OUT = 4096
_HELD_OUT_SHARE = 4


@dataclass(slots=True)
class _Place:
    """Where a training is; part of its resume point.

    Attributes:
        epoch: epochs done; `batch`: batches done of the next one.
        sums: of the losses in that epoch, by head.
        held_out: while the epoch's evaluation is under way: its next chunk, and the sums until then.
        over: the training is done.
    """

    epoch: int = 0
    batch: int = 0
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(HEADS, 0.0))
    held_out: tuple[int, dict[str, float]] | None = None
    over: bool = False

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Self:
        """From a resume point's place, which holds more."""
        return cls(**{part.name: stored[part.name] for part in fields(cls)})


class TutorialTraining:
    """One training of the article's network."""

    def __init__(self, settings: TutorialSettings, corpus: Corpus, hooks: TrainingHooks, resume_seconds: float) -> None:
        self._settings = settings
        self._hooks = hooks
        fresh = initial_weights(settings)
        self._keeper = Keeper(hooks, settings, settings.patience, "train_loss", fresh)
        pieces = list(corpus.training_pieces(settings.files).values())
        self._triples, self._starts = window_starts(pieces, settings.window)
        held_out = window_starts(list(corpus.pieces("validation")), settings.window)
        self._held_out_triples = held_out[0]
        self._held_out_starts = spread(held_out[1], max(_LEAST_HELD_OUT, self._starts.size // _HELD_OUT_SHARE))
        if not self._starts.size:
            longest = max((len(piece) for piece in pieces), default=0)
            raise TrainingError(
                f"No piece is longer than the window of {settings.window} notes (the longest of {len(pieces)} pieces "
                f"has {longest}); choose a smaller window or other pieces."
            )
        # As in the article the last, smaller batch of an epoch is left out; fewer windows than a batch are one batch.
        self._batch = min(settings.batch_size, self._starts.size)
        self._batches = self._starts.size // self._batch
        self._digest = corpus_digest(corpus)
        self._compiled_steps = compiled_tutorial_steps(self._batch, settings.learning_rate)
        self._compiled_losses = compiled_tutorial_losses()
        self._pulse = Pulse(hooks, resume_seconds, self._write_resume)
        self._speed = Speed()
        self._place = _Place()
        place: dict[str, Any] | None = None
        trees = {"weights": fresh, "first": zero_moments(fresh), "second": zero_moments(fresh)}
        resumed = read_resume(hooks, settings, self._digest)
        if resumed is not None:
            place, trees = resumed
            self._place = _Place.of(place)
        self._keeper.begin(place, trees.get("best"))
        with unless_memory_is_full(weights_do_not_fit(sum(array.size for array in fresh.values()))):
            on_device = [to_device(trees[name]) for name in ("weights", "first", "second")]
        self._weights, self._first, self._second = on_device

    def run(self) -> TrainingResult:
        """Train until the epochs are done or the loss has not become better for `patience` epochs."""
        while not self._place.over:
            random = np.random.default_rng([self._settings.seed, _SHUFFLE, self._place.epoch])
            order = random.permutation(self._starts)
            while self._place.batch < self._batches:
                self._pulse.check()
                self._advance(order)
            self._finish_epoch()
        best, last = self._keeper.best_checkpoint(), self._keeper.last_checkpoint(_host(self._weights))
        epochs = self._place.epoch
        return TrainingResult(best, last, epochs * self._batches, float(epochs), epochs < self._settings.epochs)

    def _advance(self, order: NDArray[np.int64]) -> None:
        """The next few steps in one call."""
        place, settings = self._place, self._settings
        first_batch = place.batch
        # Full calls and single steps only: two compiled shapes whatever the number of batches.
        count = _STEPS_PER_CALL if self._batches - first_batch >= _STEPS_PER_CALL else 1
        starts = order[first_batch * self._batch : (first_batch + count) * self._batch].reshape(count, self._batch)
        done = place.epoch * self._batches + first_batch
        corrections = np.array([bias_correction(done + number + 1) for number in range(count)], np.float32)
        windows = self._triples[starts[..., None] + np.arange(settings.window + 1)]
        (self._weights, self._first, self._second), sums = self._run(windows, corrections)
        latest = sum(LOSS_WEIGHTS[name] * sums[name] / count for name in HEADS)
        if not math.isfinite(latest):
            raise TrainingError(
                f"The loss became {latest} in epoch {place.epoch + 1}. {self._keeper.what_is_kept()} Train "
                f"again with a lower learning rate (it is {settings.learning_rate:g})."
            )
        for name in HEADS:
            place.sums[name] += sums[name]
        place.batch += count
        notes = count * self._batch
        self._speed.add(count, notes, notes)
        steps = settings.epochs * self._batches
        self._hooks.progress(
            TrainingProgress(
                done + count,
                steps,
                (done + count) / self._batches,
                self._speed.notes_per_second,
                self._speed.events_per_second,
                self._speed.seconds_left(steps - done - count),
                latest,
                {name: sums[name] / count for name in HEADS},
            )
        )

    def _run(self, windows: NDArray[np.float32], corrections: NDArray[np.float32]) -> tuple[Tree, dict[str, float]]:
        """The trees after some steps, and the sums of their losses."""
        trees = self._weights, self._first, self._second
        try:
            after, losses = self._compiled_steps(*trees, windows, corrections)
            # Only here it shows whether there was room to compute them.
            return after, {name: float(to_numpy(losses[name]).astype(np.float64).sum()) for name in HEADS}
        except out_of_memory_errors() as error:
            if not is_out_of_memory(error):
                raise

        def try_some(most: int) -> int:
            _, losses = self._compiled_steps(*trees, windows[:, :most], corrections)
            to_numpy(losses["pitch"])
            return most

        raise batch_does_not_fit(self._batch, self._settings.window, "notes", try_some)

    def _finish_epoch(self) -> None:
        """The epoch's figures, its checkpoint and the stopping rule of Keras's `EarlyStopping` on the loss."""
        place, settings = self._place, self._settings
        held_out = self._held_out_figures()
        heads = {name: place.sums[name] / self._batches for name in HEADS}
        loss = sum(LOSS_WEIGHTS[name] * heads[name] for name in HEADS)
        epoch = place.epoch + 1
        values = {"train_loss": loss, **{f"train_{name}": heads[name] for name in HEADS}, **held_out}
        figures = {"epoch": float(epoch), "step": float(epoch * self._batches), **values}
        self._place = place = _Place(epoch)
        lower = self._keeper.measured(_host(self._weights), figures)
        place.over = epoch == settings.epochs or self._keeper.patience_is_over
        self._keeper.point(epoch * self._batches, float(epoch), {**values, "learning_rate": settings.learning_rate})
        self._hooks.log(f"Epoch {epoch}: loss {loss:.4f}" + (", the best so far" if lower else ""))

    def _held_out_figures(self) -> dict[str, float]:
        """The same losses over windows of the held-out pieces, for information; empty without such windows.

        Over all of them, or over a quarter as many as are trained on (at least 4,096), evenly spread over the pieces.
        """
        starts = self._held_out_starts
        if not starts.size:
            return {}
        chunk, sums = self._place.held_out or (0, dict.fromkeys(HEADS, 0.0))
        for at in range(chunk * _HELD_OUT_ROWS, starts.size, _HELD_OUT_ROWS):
            self._place.held_out = (at // _HELD_OUT_ROWS, dict(sums))
            self._pulse.check()
            rows = starts[at : at + _HELD_OUT_ROWS]
            counted = (np.arange(_HELD_OUT_ROWS) < rows.size).astype(np.float32)
            padded = np.resize(rows, _HELD_OUT_ROWS)
            windows = self._held_out_triples[padded[:, None] + np.arange(self._settings.window + 1)]
            losses = self._compiled_losses(self._weights, windows, counted)
            sums = {name: sums[name] + float(to_numpy(losses[name])) * rows.size for name in HEADS}
        means = {name: sums[name] / starts.size for name in HEADS}
        total = sum(LOSS_WEIGHTS[name] * means[name] for name in HEADS)
        return {"held_out_loss": total, **{f"held_out_{name}": means[name] for name in HEADS}}

    def _write_resume(self) -> tuple[bytes, int]:
        trees = {
            "weights": _host(self._weights),
            "first": _host(self._first),
            "second": _host(self._second),
            "best": self._keeper.best,
        }
        step = self._place.epoch * self._batches + self._place.batch
        place = {**asdict(self._place), **self._keeper.place()}
        return write_resume(self._settings, self._digest, place, trees), step


def _host(tree: Tree) -> Arrays:
    return {name: to_numpy(array) for name, array in tree.items()}
