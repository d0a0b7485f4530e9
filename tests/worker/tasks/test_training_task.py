"""Trainings run as units: interruptions, kills, failures, and the model at the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from core.datasets.corpus import Corpus
from core.errors import ConflictError, SupersededError, TrainingError
from core.modeling.checkpoints import Checkpoint
from core.models.jobs import JobLog, JobState, Queue
from core.models.trainings import Model, Training, TrainingPoint
from core.queue import control
from core.services.jobs import retry_job
from core.services.keeping import keep_model
from core.services.models import delete_model
from core.services.trainings import create_training
from core.training import event_step
from worker.tasks import training as task
from worker.unit_context import Interrupt, UnitContext, UnitInterrupted

pytestmark = pytest.mark.slow
VALUES = {"embedding": 8, "units": 16, "steps": 12, "evaluate_every": 6, "batch_size": 4, "window": 32}


def queued(workplace: Any, corpus: Corpus, *, evaluate: bool = True, **values: Any) -> int:
    dataset = workplace.dataset(corpus)
    with workplace.database.transaction() as session:
        return create_training(
            session, dataset_id=dataset, family="lstm", values={**VALUES, **values}, evaluate=evaluate
        ).id


def row_of(workplace: Any, number: int) -> Training:
    with workplace.database.reading() as session:
        return session.get_one(Training, number)


def models_of(workplace: Any) -> list[Model]:
    with workplace.database.reading() as session:
        return list(session.scalars(select(Model).order_by(Model.id)))


def stopped_at(context: UnitContext, step: int, reason: Interrupt) -> None:
    """Ask the unit to stop as soon as it tells of this step."""
    tell = context.progress

    def progress(*args: Any, **values: Any) -> None:
        tell(*args, **values)
        if values.get("done") == step:
            context.interrupt(reason)

    context.progress = progress  # type: ignore[method-assign]  # it is passed on to the real one


def test_a_training_ends_with_a_model_of_its_best_weights(workplace: Any, corpus: Corpus, tiny_lstm: bytes) -> None:
    number = queued(workplace, corpus)
    context = workplace.claim(Queue.TRAINING)
    task.run(context)
    assert workplace.finish(context).state is JobState.SUCCEEDED
    (model,), row = models_of(workplace), row_of(workplace, number)
    checkpoint = Checkpoint.from_bytes(workplace.store.read(model.checkpoint_key))
    assert checkpoint.content_hash == model.content_hash == Checkpoint.from_bytes(tiny_lstm).content_hash
    Checkpoint.from_bytes(workplace.store.read(model.last_checkpoint_key))
    assert (row.model_id, row.step, row.steps, row.stop_reason) == (model.id, 12, 12, "all steps done")
    assert model.figures == row.figures
    assert (row.resume_key, model.dataset_name) == ("", "Made up")
    with workplace.database.reading() as session:
        points = session.scalars(
            select(TrainingPoint).where(TrainingPoint.training_id == number).order_by(TrainingPoint.step)
        ).all()
    assert [point.step for point in points] == [6, 12]
    first, second = (point.seconds for point in points)
    assert first is not None
    assert second is not None
    assert 0 < first < second < context.elapsed_seconds
    stored = [*workplace.store.files("trainings"), *workplace.store.files("models")]
    assert set(stored) == {row.best_key, row.last_key, model.checkpoint_key, model.last_checkpoint_key}
    task.run(context)  # killed before it could say that it was done
    assert len(models_of(workplace)) == 1
    # A kept model that is the same one stays the one.
    assert keep_model(workplace.database, workplace.store, number).id == model.id
    assert set(workplace.store.files("models")) == {model.checkpoint_key, model.last_checkpoint_key}


def test_a_training_with_a_time_limit_does_the_steps_that_fit(sqlite_workplace: Any, corpus: Corpus) -> None:
    number = queued(
        sqlite_workplace, corpus, steps=4_000_000, evaluate_every=1_000_000, minutes=0.3, warmup_steps=20, patience=0
    )
    context = sqlite_workplace.claim(Queue.TRAINING)
    task.run(context)
    assert sqlite_workplace.finish(context).state is JobState.SUCCEEDED
    (model,), row = models_of(sqlite_workplace), row_of(sqlite_workplace, number)
    assert 1 <= row.steps < 100_000
    # On a machine that has become slower since it planned, the limit ends it before the plan does, and its log says so.
    with sqlite_workplace.database.reading() as session:
        messages = session.scalars(select(JobLog.message).where(JobLog.job_id == context.job_id)).all()
    cut = [message for message in messages if "is the last that fits into the time limit" in message]
    assert (row.step == row.steps) != bool(cut)
    assert 1 <= row.step <= row.steps
    assert row.stop_reason == f"done: {row.step:,} of 4,000,000 steps fitted into the time limit"
    assert (row.settings["steps"], row.settings["minutes"]) == (4_000_000, 0.3)
    # The model's settings are those that make it again.
    assert (model.settings["steps"], model.settings["minutes"]) == (row.steps, 0)
    with sqlite_workplace.database.reading() as session:
        count = session.scalar(select(func.count()).where(TrainingPoint.training_id == number))
    assert count is not None
    assert 1 <= count <= 4


def test_an_interrupted_training_goes_on_to_the_same_weights(
    sqlite_workplace: Any, corpus: Corpus, tiny_lstm: bytes
) -> None:
    number = queued(sqlite_workplace, corpus)
    context = sqlite_workplace.claim(Queue.TRAINING)
    stopped_at(context, 8, Interrupt.PAUSE)
    with pytest.raises(UnitInterrupted):
        task.run(context)
    row = row_of(sqlite_workplace, number)
    assert row.resume_step == 8
    assert sqlite_workplace.store.exists(row.resume_key)
    sqlite_workplace.release(context)

    late = UnitContext(sqlite_workplace.database, sqlite_workplace.store, sqlite_workplace.settings, context.claim)
    second = sqlite_workplace.claim(Queue.TRAINING)
    with pytest.raises(SupersededError):
        task.run(late)
    assert sqlite_workplace.store.exists(row_of(sqlite_workplace, number).resume_key)
    stopped_at(second, 10, Interrupt.PAUSE)
    # A pause that is taken back before it takes effect: the training goes on by itself.
    save, saved = task._RowHooks.save_resume, []

    def taken_back(hooks: Any, data: bytes, step: int) -> None:
        save(hooks, data, step)
        saved.append(step)
        second.withdraw_pause()

    task._RowHooks.save_resume = taken_back  # type: ignore[method-assign]  # put back below
    try:
        task.run(second)
    finally:
        task._RowHooks.save_resume = save  # type: ignore[method-assign]  # as it was
    sqlite_workplace.finish(second)
    assert saved == [10]
    (model,) = models_of(sqlite_workplace)
    made, expected = (Checkpoint.from_bytes(d) for d in (sqlite_workplace.store.read(model.checkpoint_key), tiny_lstm))
    assert all(np.array_equal(made.weights[name], expected.weights[name]) for name in expected.weights)
    assert {key for key in sqlite_workplace.store.files("trainings") if "resume" in key} == set()


def test_a_cancelled_training_can_be_kept_and_taken_up_again(sqlite_workplace: Any, corpus: Corpus) -> None:
    number = queued(sqlite_workplace, corpus, evaluate=False)
    with pytest.raises(ConflictError, match="no checkpoint yet"):
        keep_model(sqlite_workplace.database, sqlite_workplace.store, number)
    context = sqlite_workplace.claim(Queue.TRAINING)
    stopped_at(context, 8, Interrupt.CANCEL)
    with sqlite_workplace.database.transaction() as session:
        control.cancel(session, context.job_id)
    with pytest.raises(UnitInterrupted):
        task.run(context)
    sqlite_workplace.release(context)

    kept = keep_model(sqlite_workplace.database, sqlite_workplace.store, number)
    assert [model.id for model in models_of(sqlite_workplace)] == [kept.id]

    # Going on from there makes the model that the whole training makes; the kept one stays until it is deleted.
    with sqlite_workplace.database.transaction() as session:
        assert retry_job(session, context.job_id).progress_done == 8
    sqlite_workplace.run_all(task.run, Queue.TRAINING)
    final = row_of(sqlite_workplace, number)
    assert (final.step, final.stop_reason) == (12, "all steps done")
    models = models_of(sqlite_workplace)
    assert final.model_id == models[-1].id
    for each in models:
        Checkpoint.from_bytes(sqlite_workplace.store.read(each.checkpoint_key))
        delete_model(sqlite_workplace.database, sqlite_workplace.store, each.id)
    assert sqlite_workplace.store.files("models") == []


def test_a_loss_that_is_no_number_fails_with_advice(sqlite_workplace: Any, corpus: Corpus, monkeypatch: Any) -> None:
    number = queued(sqlite_workplace, corpus)
    context = sqlite_workplace.claim(Queue.TRAINING)
    whole = event_step.to_numpy

    def spoiled(value: Any) -> Any:
        array = whole(value)
        late = row_of(sqlite_workplace, number).best_key != ""
        return np.float32("nan") if array.ndim == 0 and late else array

    monkeypatch.setattr(event_step, "to_numpy", spoiled)
    with pytest.raises(
        TrainingError, match=r"loss became nan at step 7\. The last good .* lower learning rate \(it is"
    ):
        task.run(context)
    # What was good before stays and can be kept.
    assert keep_model(sqlite_workplace.database, sqlite_workplace.store, number).figures["step"] == 6


def test_what_is_missing_is_named_or_made_again(sqlite_workplace: Any, corpus: Corpus, tiny_lstm: bytes) -> None:
    number = queued(sqlite_workplace, corpus)
    context = sqlite_workplace.claim(Queue.TRAINING)
    store, key = sqlite_workplace.store, f"trainings/{number}/best-earlier.cadenza"
    made = Checkpoint.from_bytes(tiny_lstm)
    weights = {name: array / 2 for name, array in made.weights.items()}
    better = replace(made, weights=weights, figures={"held_out_nats_per_event": 0.5, "step": 900.0})
    with sqlite_workplace.database.transaction() as session:
        row = session.get_one(Training, number)
        row.resume_key, row.best_key, row.resume_step = f"trainings/{number}/resume-lost.bin", key, 950
        session.add(TrainingPoint(training_id=number, step=900, values={"held_out_nats_per_event": 0.5}))
    hooks = task._RowHooks(context, row_of(sqlite_workplace, number))
    assert hooks.load_best() is None
    store.write(key, better.to_bytes()[:-100])
    assert hooks.load_best() is None
    store.write(key, better.to_bytes())
    task.run(context)  # a resume point that is gone costs time, not the training
    row = row_of(sqlite_workplace, number)
    # And no checkpoint: nothing that came after was as good as the best one of before.
    assert (row.step, row.best_key, store.exists(key)) == (12, key, True)
    (model,) = models_of(sqlite_workplace)
    assert (model.content_hash, model.figures) == (better.content_hash, better.figures)
    with sqlite_workplace.database.reading() as session:
        assert session.scalars(select(TrainingPoint.step).order_by(TrainingPoint.step)).all() == [6, 12]
    assert model.figures == row.figures

    other = queued(sqlite_workplace, corpus)
    context = sqlite_workplace.claim(Queue.TRAINING)
    with sqlite_workplace.database.transaction() as session:
        session.get_one(Training, other).dataset_id = None
    with pytest.raises(ConflictError, match="dataset of this training was deleted"):
        task.run(context)
