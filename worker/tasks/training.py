"""Running one training: points and resume points as they come, and a model at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import delete

from core.datasets.corpus import Corpus
from core.errors import CheckpointError, ConflictError
from core.modeling.checkpoints import Checkpoint
from core.models.datasets import Dataset
from core.models.trainings import Training
from core.models.trainings import TrainingPoint as PointRow
from core.records.database import announce
from core.services.evaluations import evaluate_after_training
from core.services.keeping import add_training_model, locked_training, store_model_files
from core.services.trainings import get_training
from core.training.hooks import TrainingInterrupted, TrainingPoint, TrainingProgress, TrainingResult
from core.training.run import train
from core.training.settings import FamilySettings, parse_stored_settings
from worker.unit_context import UnitContext


def run(context: UnitContext) -> None:
    """Train, or go on from the last resume point, and make a model of the best checkpoint.

    Raises:
        ConflictError: the dataset was deleted.
        TrainingError: the data or the loss does not allow it; the message says what to change.
        UnitInterrupted: paused, cancelled or handed back; a resume point is written.
    """
    with context.database.reading() as session:
        training = get_training(session, int(context.payload["training_id"]))
        dataset = session.get(Dataset, training.dataset_id) if training.dataset_id is not None else None
    if training.stop_reason:
        return  # It ended before, and only the word of it was lost.
    if dataset is None:
        raise ConflictError("The dataset of this training was deleted; import it again and submit a new training.")
    context.progress(phase="loading the data", unit="steps")
    corpus = Corpus.from_bytes(context.store.read(dataset.corpus_key))
    settings = parse_stored_settings(training.family, training.settings)
    hooks = _RowHooks(context, training)
    hooks.forget_points_after(training.resume_step)
    result = _train(context, settings, corpus, hooks)
    _finish(context, training.id, result)
    hooks.clean_up()


def _finish(context: UnitContext, training_id: int, result: TrainingResult) -> None:
    """Store the model and say that the training is over, in one transaction."""
    files = store_model_files(context.store, result.best, result.best.to_bytes(), result.last.to_bytes())
    try:
        with context.transaction() as session:
            row, dataset = locked_training(session, training_id)
            row.step, row.epoch = result.steps, result.epochs
            row.stop_reason = _stop_reason(result, row.settings)
            row.figures = dict(result.best.figures)
            model, added = add_training_model(session, row, dataset, files)
            # Also of a model that was kept before the end: nothing followed then.
            evaluate_after_training(session, context.store, row, model)
            context.mark_progressed(session)
    except BaseException as error:
        files.delete_after(error, context.store)
        raise
    if not added:
        files.delete(context.store)


def _stop_reason(result: TrainingResult, settings: Mapping[str, Any]) -> str:
    if result.stopped_early:
        return "stopped early: no better figure for a while"
    if settings.get("minutes") and result.steps < settings["steps"]:
        return f"done: {result.steps:,} of {settings['steps']:,} steps fitted into the time limit"
    return "all steps done"


def _train(context: UnitContext, settings: FamilySettings, corpus: Corpus, hooks: _RowHooks) -> TrainingResult:
    while True:
        try:
            return train(settings, corpus, hooks, resume_seconds=context.settings.resume_point_seconds)
        except TrainingInterrupted:
            context.check()
            # A pause that was taken back before it took effect: go on from the resume point just written.


class _RowHooks:
    """Writes what a training tells into its rows and files, each write refused once the unit has moved on."""

    def __init__(self, context: UnitContext, training: Training) -> None:
        self._context = context
        self._id = training.id
        self._resume_key = training.resume_key
        self._steps = training.steps

    def forget_points_after(self, step: int) -> None:
        """Drop points of an earlier attempt that this one will measure again."""
        with self._context.transaction() as session:
            session.execute(delete(PointRow).where(PointRow.training_id == self._id, PointRow.step > step))

    def progress(self, progress: TrainingProgress) -> None:
        """Show how far it is; the context writes it at most once a second."""
        self._steps = progress.steps
        self._context.progress(
            phase="training",
            done=progress.step,
            total=progress.steps,
            unit="steps",
            rate=progress.notes_per_second,
            rate_unit="notes/s",
            seconds_left=progress.seconds_left,
            live={
                "epoch": progress.epoch,
                "train_loss": progress.train_loss,
                "events_per_second": progress.events_per_second,
                **progress.heads,
            },
        )

    def point(self, point: TrainingPoint) -> None:
        """Add a point to the curves; those after it are of an earlier start, whose resume point was lost."""
        with self._context.transaction() as session:
            session.execute(delete(PointRow).where(PointRow.training_id == self._id, PointRow.step > point.step))
            timed = {} if point.seconds is None else {"seconds": round(point.seconds, 3)}
            values = {**point.values, **timed}
            session.merge(PointRow(training_id=self._id, step=point.step, epoch=point.epoch, values=values))
            row = session.get_one(Training, self._id)
            row.step, row.steps, row.epoch = point.step, self._steps, point.epoch
            announce(session, f"training:{self._id}")

    def save_resume(self, data: bytes, step: int) -> None:
        """Store a resume point beside the old one, point the row at it, then drop the old one."""
        # No other attempt ever writes this key, not even that of a job which tries this one again.
        key = f"trainings/{self._id}/resume-{self._context.unit_id}-{self._context.attempt}-{step}.bin"
        self._context.store.write(key, data)
        old = self._resume_key
        with self._context.transaction() as session:
            row = session.get_one(Training, self._id)
            row.resume_key, row.resume_step, row.step = key, step, step
            self._context.mark_progressed(session)
            announce(session, f"training:{self._id}")
        self._resume_key = key
        if old and old != key:
            self._context.store.delete(old)

    def load_resume(self) -> bytes | None:
        """The last resume point, if there is one."""
        if not self._resume_key:
            return None
        if not self._context.store.exists(self._resume_key):
            self._context.log("The resume point is gone from the store; the training starts again.", "warning")
            return None
        return self._context.store.read(self._resume_key)

    def save_checkpoint(self, kind: Literal["best", "last"], checkpoint: Checkpoint) -> None:
        """Store a checkpoint, point the row at it, then drop the one that it replaces."""
        key = f"trainings/{self._id}/{kind}-{checkpoint.content_hash[:24]}.cadenza"
        self._context.store.write(key, checkpoint.to_bytes())
        with self._context.transaction() as session:
            row = session.get_one(Training, self._id)
            old = row.best_key if kind == "best" else row.last_key
            if kind == "best":
                row.best_key = key
                row.figures = dict(checkpoint.figures)
            else:
                row.last_key = key
        if old and old != key:
            self._context.store.delete(old)

    def load_best(self) -> Checkpoint | None:
        """The best checkpoint that an earlier attempt stored, if it can be read."""
        with self._context.database.reading() as session:
            key = session.get_one(Training, self._id).best_key
        if not key or not self._context.store.exists(key):
            return None
        try:
            return Checkpoint.from_bytes(self._context.store.read(key))
        except CheckpointError as error:
            self._context.log(f"The best checkpoint stored before cannot be read: {error}", "warning")
            return None

    def log(self, text: str) -> None:
        """Add a line to the job's log."""
        self._context.log(text)

    def interrupted(self) -> bool:
        """Whether the unit shall stop."""
        return self._context.interrupted()

    def clean_up(self) -> None:
        """Drop the resume point: a finished training has nothing to resume."""
        if not self._resume_key:
            return
        with self._context.transaction() as session:
            session.get_one(Training, self._id).resume_key = ""
        self._context.store.delete(self._resume_key)
