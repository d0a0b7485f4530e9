"""Training of the families that read and write events."""

from __future__ import annotations

import math
from typing import Any, Literal

import keras

from core.datasets.corpus import Corpus
from core.encoding.performance import encode
from core.errors import TrainingError
from core.modeling.backend import Tree, has_bfloat16, to_device, to_numpy
from core.modeling.checkpoints import Checkpoint
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.training.event_step import EventStep
from core.training.heldout import Evaluator, HeldOut, interval_subset
from core.training.hooks import TrainingHooks, TrainingPoint, TrainingProgress, TrainingResult
from core.training.pulse import Pulse, Speed
from core.training.resume import Arrays, corpus_digest, read_resume, write_resume
from core.training.settings import EventSettings
from core.training.windows import Batch, EventWindows


def chosen_precision(settings: EventSettings) -> str:
    """Number format of the products in training: "float32" or "bfloat16"."""
    if settings.precision == "auto":
        return "bfloat16" if has_bfloat16() else "float32"
    return settings.precision


class EventTraining:
    """One training over events: the state, one step, one evaluation, and the loop around them."""

    def __init__(self, settings: EventSettings, corpus: Corpus, hooks: TrainingHooks, resume_seconds: float) -> None:
        self._settings = settings
        self._hooks = hooks
        pieces = [piece for piece in corpus.pieces("train") if len(piece)]
        held_out = [piece for piece in corpus.pieces("validation") if len(piece)]
        if not pieces or not held_out:
            raise TrainingError(
                f"This dataset has {len(pieces)} pieces to train on and {len(held_out)} held out; at least one of "
                "each is needed. Import more files, so that some are held out."
            )
        self._windows = EventWindows(pieces[: settings.files or None], settings)
        self._streams = [encode(piece) for piece in held_out]
        self._interval_streams = interval_subset(self._streams)
        self._digest = corpus_digest(corpus)
        self._network = build_network(settings)  # what is measured is what composes: in float32
        self._evaluator = Evaluator(self._network)
        resumed = read_resume(hooks, settings, self._digest)
        self._precision = resumed[0]["precision"] if resumed else chosen_precision(settings)
        self._step = EventStep(build_network(settings, self._precision), settings)
        self._pulse = Pulse(hooks, resume_seconds, self._write_resume)
        self._speed = Speed()

        fresh = initial_weights(settings)
        self._best: Arrays = fresh
        self._evaluated: HeldOut | None = None  # how far the evaluation under way has come
        self._place: dict[str, Any] = {
            "step": 0,
            "best_loss": None,  # held-out nats per event
            "best_figures": {},
            "waited": 0,
            "loss_sum": 0.0,
            "loss_steps": 0,
            "precision": self._precision,
            "phase": "train",  # or "interval" or "all" while such an evaluation is under way
            "last_figures": {},
        }
        if self._step.devices > 1:
            hooks.log(f"{self._step.devices} devices share each batch.")
        if self._windows.longest < settings.window:
            hooks.log(
                f"The window of {settings.window} events is longer than every piece (the longest has "
                f"{self._windows.longest}); the rest of each window is padding, so a shorter one trains faster."
            )
        if resumed is None:
            self._trees = self._step.begin(fresh)
        else:
            self._place, trees = resumed
            stored = {name: trees.pop(name) for name in ("best", "evaluated") if name in trees}
            self._trees = self._step.place(trees)
            self._best = stored["best"]
            if "evaluated" in self._place:
                flat = [array for _, array in sorted(stored.get("evaluated", {}).items())]
                state = keras.tree.pack_sequence_as(self._network.initial_state(1), flat) if flat else None
                self._evaluated = HeldOut(**self._place.pop("evaluated"), state=state)

    def run(self) -> TrainingResult:
        """Train until the steps are done or early stopping ends it."""
        while True:
            if self._place["phase"] == "train":
                self._pulse.check()
                self._advance()
            elif self._place["phase"] == "interval":
                self._finish_interval()
            else:
                return self._finish()

    def _advance(self) -> None:
        """One step."""
        settings, place = self._settings, self._place
        step = place["step"]
        batch: Batch = self._windows.batch(step)
        self._trees, loss = self._step.advance(self._trees, batch, step)
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss} at step {step + 1}. The last good checkpoint is kept. Train again with a "
                f"lower learning rate (it is {settings.learning_rate:g}) or a smaller gradient clip (it is "
                f"{settings.clip_norm:g})."
            )
        place["step"] = step + 1
        place["loss_sum"] += loss
        place["loss_steps"] += 1
        if (step + 1) % settings.evaluate_every == 0 or step + 1 == settings.steps:
            place["phase"] = "interval"
        self._speed.add(1, batch.notes, batch.counted)
        self._hooks.progress(
            TrainingProgress(
                step + 1,
                settings.steps,
                self._epoch(),
                self._speed.notes_per_second,
                self._speed.events_per_second,
                self._speed.seconds_left(settings.steps - step - 1),
                loss,
            )
        )

    def _finish_interval(self) -> None:
        """The evaluation after an interval, its checkpoints, and whether early stopping ends the training."""
        settings, place = self._settings, self._place
        figure = self._evaluate(self._step.measured(self._trees), "interval")
        if not math.isfinite(figure.nats):
            raise TrainingError(
                f"The held-out loss became {figure.nats} at step {place['step']}. The last good checkpoint is kept. "
                f"Train again with a lower learning rate (it is {settings.learning_rate:g})."
            )
        step = place["step"]
        figures = self._figures(figure)
        train_loss = place["loss_sum"] / max(1, place["loss_steps"])
        better = place["best_loss"] is None or figure.nats_per_event < place["best_loss"]
        waited = 0 if better else place["waited"] + 1
        over = step == settings.steps or 0 < settings.patience <= waited
        current = self._measured()
        place.update(loss_sum=0.0, loss_steps=0, waited=waited, last_figures=figures)
        self._evaluated = None
        place["phase"] = "all" if over else "train"
        if better:
            place.update(best_loss=figure.nats_per_event, best_figures=figures)
            self._best = current
            self._hooks.save_checkpoint("best", self._checkpoint(current, figures))
        self._hooks.save_checkpoint("last", self._checkpoint(current, figures))
        values = {
            "train_loss": train_loss,
            "held_out_nats_per_event": figure.nats_per_event,
            "held_out_nats_per_note": figure.nats_per_note,
            "learning_rate": self._step.rate(step - 1),
        }
        self._hooks.point(TrainingPoint(step, self._epoch(), values))
        self._hooks.log(
            f"Step {step}: train {train_loss:.4f}, held out {figure.nats_per_event:.4f} nats per event"
            + (", the best so far" if better else "")
        )

    def _finish(self) -> TrainingResult:
        """The best weights' figures over all held-out pieces, and the result."""
        place = self._place
        figures = place["best_figures"]
        if len(self._interval_streams) < len(self._streams):
            all_pieces = self._figures(self._evaluate(to_device(self._best), "all"))
            figures = {**all_pieces, "step": figures["step"]}
            self._hooks.save_checkpoint("best", self._checkpoint(self._best, figures))
        best = self._checkpoint(self._best, figures)
        last = self._checkpoint(self._measured(), place["last_figures"])
        return TrainingResult(best, last, place["step"], self._epoch(), place["step"] < self._settings.steps)

    def _evaluate(self, weights: Tree, which: Literal["interval", "all"]) -> HeldOut:
        """Go on with the evaluation that is under way, looking up between chunks."""

        def between(done: HeldOut) -> None:
            self._evaluated = done
            self._pulse.check()

        streams = self._interval_streams if which == "interval" else self._streams
        return self._evaluator.evaluate(weights, streams, between, self._evaluated)

    def _epoch(self) -> float:
        settings = self._settings
        return float(self._place["step"] * settings.batch_size * settings.window / self._windows.events)

    def _figures(self, figure: HeldOut) -> dict[str, float]:
        return {
            "step": float(self._place["step"]),
            "held_out_nats_per_event": figure.nats_per_event,
            "held_out_nats_per_note": figure.nats_per_note,
            "held_out_events": float(figure.events),
        }

    def _checkpoint(self, weights: Arrays, figures: dict[str, float]) -> Checkpoint:
        settings = self._settings
        values = {**settings.model_dump(mode="json"), "precision": self._precision}
        return Checkpoint(settings.family, settings.encoding, values, weights, dict(figures))

    def _measured(self) -> Arrays:
        return {name: to_numpy(weight) for name, weight in self._step.measured(self._trees).items()}

    def _write_resume(self) -> tuple[bytes, int]:
        trees = {**self._step.host(self._trees), "best": self._best}
        place = dict(self._place)
        if (evaluated := self._evaluated) is not None:
            place["evaluated"] = {
                name: getattr(evaluated, name) for name in ("nats", "events", "notes", "group", "place")
            }
            flat = [] if evaluated.state is None else keras.tree.flatten(evaluated.state)
            trees["evaluated"] = {f"{number:03d}": to_numpy(part) for number, part in enumerate(flat)}
        return write_resume(self._settings, self._digest, place, trees), int(place["step"])
