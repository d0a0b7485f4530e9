"""Training of the families that read and write events."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, Literal

import keras

from core.datasets.corpus import Corpus
from core.encoding.performance import encode
from core.errors import TrainingError
from core.modeling.backend import Tree, to_device, to_numpy
from core.modeling.initial import initial_weights
from core.modeling.network import build_network
from core.music.notes import Notes
from core.training.event_step import EventStep
from core.training.heldout import Evaluator, HeldOut, events_read, interval_subset
from core.training.hooks import TrainingHooks, TrainingProgress, TrainingResult
from core.training.keeper import Keeper
from core.training.peculiarities import peculiarities
from core.training.place import Place
from core.training.pulse import Pulse, Speed, StepTime
from core.training.resume import Arrays, corpus_digest, read_resume, write_resume
from core.training.settings import EventSettings
from core.training.time_limit import Pace, TimeLimit, told_end
from core.training.windows import Batch, EventWindows


class EventTraining:
    """One training over events: the state, one step, one evaluation, and the loop around them."""

    def __init__(self, settings: EventSettings, corpus: Corpus, hooks: TrainingHooks, resume_seconds: float) -> None:
        self._settings = settings
        self._hooks = hooks
        fresh = initial_weights(settings)
        self._keeper = Keeper(hooks, settings, settings.patience, "held_out_nats_per_event", fresh)
        pieces, held_out = _pieces(corpus, settings.files)
        self._windows = EventWindows(pieces, settings)
        self._streams = [encode(piece) for piece in held_out]
        self._interval_streams = interval_subset(self._streams)
        self._reads_a_part = self._interval_streams is not self._streams
        self._digest = corpus_digest(corpus)
        self._evaluator = Evaluator(settings, hooks.log)
        self._evaluated: HeldOut | None = None  # how far the evaluation under way has come
        resumed = read_resume(hooks, settings, self._digest)
        self._place = Place.before(settings)
        if resumed:
            self._place = self._place.at(resumed[0])
        self._step = EventStep(build_network(settings, self._place.precision), settings)
        self._pulse = Pulse(hooks, resume_seconds, self._write_resume)
        self._speed = Speed()
        self._step_time = StepTime()
        interval_events, all_events = events_read(self._interval_streams), events_read(self._streams)
        self._limit = TimeLimit(settings, interval_events, all_events if self._reads_a_part else 0)
        for line in peculiarities(settings, self._step.devices, self._place.precision, self._windows.longest):
            hooks.log(line)
        if resumed is None:
            self._trees = self._step.begin(fresh)
            self._keeper.begin(None, None, **self._place.decided())
        else:
            self._take_up(*resumed)

    def _take_up(self, place: dict[str, Any], trees: dict[str, Arrays]) -> None:
        """Go on from a resume point."""
        best, evaluated = trees.pop("best"), trees.pop("evaluated", {})
        self._trees = self._step.place(trees)
        self._keeper.begin(place, best, **self._place.decided())
        self._step.lay_schedule_over(self._place.steps)
        # A point of an earlier version did not count the seconds: what it was evaluating is begun anew.
        if "ticks" in place.get("evaluated", {}):
            flat = [array for _, array in sorted(evaluated.items())]
            state = keras.tree.pack_sequence_as(self._evaluator.first_state(), flat) if flat else None
            self._evaluated = HeldOut(**place["evaluated"], state=state)

    def run(self) -> TrainingResult:
        """Train until the steps are done or early stopping ends it."""
        while True:
            if self._place.phase == "train":
                self._pulse.check()
                self._advance()
            elif self._place.phase == "interval":
                self._finish_interval()
            else:
                return self._finish()

    def _advance(self) -> None:
        """One step."""
        settings, place = self._settings, self._place
        step = place.step
        batch: Batch = self._windows.batch(step)
        self._trees, loss = self._step.advance(self._trees, batch, step, lambda: self._prepare(step + 1))
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss} at step {step + 1}. {self._keeper.what_is_kept()} Train again with a "
                f"lower learning rate (it is {settings.learning_rate:g}) or a smaller gradient clip (it is "
                f"{settings.clip_norm:g})."
            )
        place.step = step + 1
        place.loss_sum += loss
        place.loss_steps += 1
        self._speed.add(1, batch.notes, batch.counted)
        self._step_time.add()
        shortened = not place.planned and self._plan()
        ended = place.step == place.steps or self._time_is_over()
        if ended or place.step % place.evaluate_every == 0:
            place.phase = "interval"
        if shortened:
            # Killed before this, a training would plan anew, and end with other weights.
            self._pulse.save()
        self._hooks.progress(
            TrainingProgress(
                place.step,
                place.steps,
                self._epoch(),
                self._speed.notes_per_second,
                self._speed.events_per_second,
                self._seconds_left(),
                loss,
            )
        )

    def _seconds_left(self) -> float:
        """Of the steps, at most until the time limit."""
        seconds = self._speed.seconds_left(self._place.steps - self._place.step)
        return min(seconds, max(0.0, self._settings.limit_seconds - self._keeper.seconds))

    def _plan(self) -> bool:
        """Settle how many steps fit into the time limit, once that can be said; whether that changes anything."""
        place, taken = self._place, self._step_time
        pace = Pace(place.step, self._keeper.seconds, taken.mean_seconds, taken.steps, taken.first_seconds)
        if not self._limit.may_plan(pace):
            return False
        plan = self._limit.plan(pace)
        changed = (plan.steps, plan.evaluate_every) != (place.steps, place.evaluate_every)
        place.steps, place.evaluate_every, place.planned = plan.steps, plan.evaluate_every, True
        self._step.lay_schedule_over(plan.steps)
        self._keeper.decide(**self._place.decided())
        if changed:
            self._hooks.log(self._limit.told(pace, plan))
        return changed

    def _time_is_over(self) -> bool:
        """Whether the training has to end before its planned steps are done, to keep its time limit."""
        place = self._place
        figure_seconds = place.figure_seconds or self._limit.figure_seconds(self._step_time.mean_seconds)
        place.over = place.planned and self._limit.is_over(self._keeper.seconds, figure_seconds)
        if place.over:
            rate = self._step.rate(place.step - 1)
            self._hooks.log(told_end(self._settings, place.step, place.steps, rate))
        return place.over

    def _prepare(self, step: int) -> None:
        if step < self._place.steps:
            self._windows.prepare(step)

    def _finish_interval(self) -> None:
        """The evaluation after an interval, its checkpoints, and whether early stopping ends the training."""
        settings, place = self._settings, self._place
        began = self._keeper.seconds
        whole = self._evaluated is None
        figure = self._evaluate(self._step.measured(self._trees), "interval")
        if whole:
            place.figure_seconds = self._keeper.seconds - began
        if not math.isfinite(figure.nats):
            raise TrainingError(
                f"The held-out loss became {figure.nats} at step {place.step}. {self._keeper.what_is_kept()} "
                f"Train again with a lower learning rate (it is {settings.learning_rate:g})."
            )
        step, train_loss = place.step, place.loss_sum / max(1, place.loss_steps)
        place.loss_sum, place.loss_steps = 0.0, 0
        self._evaluated = None
        self._step_time.rest()
        lower = self._keeper.measured(self._measured(), self._figures(figure))
        ended = step == place.steps or place.over or self._keeper.patience_is_over
        place.phase = "all" if ended else "train"
        values = {
            "train_loss": train_loss,
            **_held_out(figure),
            "learning_rate": self._step.rate(step - 1),
        }
        self._keeper.point(step, self._epoch(), values)
        self._hooks.log(
            f"Step {step}: train {train_loss:.4f}, held out {figure.nats_per_event:.4f} nats per event"
            + (", the best so far" if lower else "")
        )

    def _finish(self) -> TrainingResult:
        """The best weights' figures over all held-out pieces, and the result."""
        keeper, step = self._keeper, self._place.step
        if self._reads_a_part:
            all_pieces = self._figures(self._evaluate(to_device(keeper.best), "all"))
            keeper.complete({**all_pieces, "step": keeper.best_figures["step"]})
        best, last = keeper.best_checkpoint(), keeper.last_checkpoint(self._measured())
        return TrainingResult(best, last, step, self._epoch(), step < self._place.steps and not self._place.over)

    def _evaluate(self, weights: Tree, which: Literal["interval", "all"]) -> HeldOut:
        """Go on with the evaluation that is under way, looking up between chunks."""

        def between(done: HeldOut) -> None:
            self._evaluated = done
            self._pulse.check()

        streams = self._interval_streams if which == "interval" else self._streams
        return self._evaluator.evaluate(weights, streams, between, self._evaluated)

    def _epoch(self) -> float:
        settings = self._settings
        return float(self._place.step * settings.batch_size * settings.window / self._windows.events)

    def _figures(self, figure: HeldOut) -> dict[str, float]:
        return {
            "step": float(self._place.step),
            **_held_out(figure),
            "held_out_events": float(figure.events),
        }

    def _measured(self) -> Arrays:
        return {name: to_numpy(weight) for name, weight in self._step.measured(self._trees).items()}

    def _write_resume(self) -> tuple[bytes, int]:
        trees = {**self._step.host(self._trees), "best": self._keeper.best}
        place = {**asdict(self._place), **self._keeper.place()}
        if (evaluated := self._evaluated) is not None:
            place["evaluated"] = {
                name: getattr(evaluated, name) for name in ("nats", "events", "notes", "ticks", "group", "place")
            }
            flat = [] if evaluated.state is None else keras.tree.flatten(evaluated.state)
            trees["evaluated"] = {f"{number:03d}": to_numpy(part) for number, part in enumerate(flat)}
        return write_resume(self._settings, self._digest, place, trees), self._place.step


def _pieces(corpus: Corpus, files: int) -> tuple[list[Notes], list[Notes]]:
    """The pieces to train on, and those with notes that are held out.

    Raises:
        TrainingError: there are none of one kind.
    """
    pieces = list(corpus.training_pieces(files).values())
    held_out = [piece for piece in corpus.pieces("validation") if len(piece)]
    if not pieces or not held_out:
        raise TrainingError(
            f"This dataset has {len(corpus.training_pieces())} pieces to train on and {len(held_out)} held out; at "
            "least one of each is needed. Import more files, so that some are held out."
        )
    return pieces, held_out


def _held_out(figure: HeldOut) -> dict[str, float]:
    """Always all three: a wordier encoding lowers the one per event."""
    return {f"held_out_{name}": value for name, value in figure.means().items()}
